using System.Globalization;

namespace Alicia.Proxy.Benchmarks;

/// <summary>Names of the services and instances that the measurements register and call.</summary>
internal static class Names
{
    public static string Service(int index) => string.Create(CultureInfo.InvariantCulture, $"service-{index:0000}");

    public static string Instance(int index) => string.Create(CultureInfo.InvariantCulture, $"instance-{index:00}");
}
