using System.Globalization;

namespace Alicia.Proxy.Hosting;

/// <summary>How many files this process may have open, and so how many callers it can serve: with none left it could open no connection to an instance, nor its own files.</summary>
internal static class OpenFiles
{
    /// <summary>What the proxy needs besides requests: listeners, its registry, the bus, logs, the runtime, probes.</summary>
    private const long Own = 256;

    /// <summary>However few there are, this many callers are let in.</summary>
    private const long Fewest = 64;

    /// <summary>Callers for which there is a descriptor on either side; null where the system has no bound or does not tell.</summary>
    public static long? Connections { get; } = ConnectionsFor(Limit());

    /// <param name="files">Files that may be open; null for any number.</param>
    public static long? ConnectionsFor(long? files) => files is { } most ? Math.Max(Fewest, (most - Own) / 2) : null;

    /// <summary>The limit in force. The runtime has raised it to the hard one when it started.</summary>
    private static long? Limit()
    {
        try
        {
            var line = File.ReadLines("/proc/self/limits").FirstOrDefault(l => l.StartsWith("Max open files", StringComparison.Ordinal));
            var words = line?.Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [];
            return words.Length > 3 && long.TryParse(words[3], NumberStyles.None, CultureInfo.InvariantCulture, out var soft) ? soft : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Another system.
            return null;
        }
    }
}
