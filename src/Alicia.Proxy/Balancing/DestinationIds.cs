using System.Globalization;

namespace Alicia.Proxy.Balancing;

/// <summary>
/// YARP's destination ids: the epoch as a decimal number. YARP compares ids without case and keeps an id's old state; an epoch has neither trouble.
/// </summary>
internal static class DestinationIds
{
    public static string Of(long epoch) => epoch.ToString(CultureInfo.InvariantCulture);

    public static long EpochOf(string destinationId) => long.Parse(destinationId, NumberStyles.None, CultureInfo.InvariantCulture);
}
