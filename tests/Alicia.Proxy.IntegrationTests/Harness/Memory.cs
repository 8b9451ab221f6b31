using System.Globalization;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>How much memory a process uses, as the kernel counts it.</summary>
internal static class Memory
{
    /// <summary>Resident pages in KiB.</summary>
    public static long ResidentKiB(int process)
    {
        const string Field = "VmRSS:";
        var line = File.ReadLines($"/proc/{process}/status").First(l => l.StartsWith(Field, StringComparison.Ordinal));
        return long.Parse(line.AsSpan(Field.Length).Trim().TrimEnd("kB").Trim(), CultureInfo.InvariantCulture);
    }

    public static long ResidentMiB(int process) => ResidentKiB(process) / 1024;
}
