using System.Globalization;
using System.Runtime.InteropServices;

namespace Alicia.Proxy.Benchmarks.Processes;

/// <summary>What the kernel says of a process: CPU time and memory, of its children too (nginx works in children).</summary>
internal static class ProcessFigures
{
    private const int ClockTicks = 2;

    private static readonly double _ticksPerSecond = sysconf(ClockTicks);

    /// <summary>User and system time so far in seconds, in steps of a clock tick (10 ms).</summary>
    public static double CpuSeconds(int id) => WithChildren(id).Sum(CpuTicks) / _ticksPerSecond;

    /// <summary>Resident memory now in MiB; pages that processes share count for each.</summary>
    public static double ResidentMiB(int id) => WithChildren(id).Sum(i => KiB(i, "VmRSS:")) / 1024.0;

    /// <summary>Most that was ever resident in MiB, of the process alone.</summary>
    public static double PeakMiB(int id) => KiB(id, "VmHWM:") / 1024.0;

    private static IEnumerable<int> WithChildren(int id)
    {
        var children = $"/proc/{id}/task/{id}/children";
        return File.Exists(children)
            ? [id, .. File.ReadAllText(children).Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(t => int.Parse(t, CultureInfo.InvariantCulture))]
            : [id];
    }

    private static long CpuTicks(int id)
    {
        // The second field is the program's name in parentheses and may hold spaces; utime and stime are the 14th and 15th.
        var stat = File.ReadAllText($"/proc/{id}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
    }

    private static long KiB(int id, string key)
    {
        var line = File.ReadLines($"/proc/{id}/status").First(l => l.StartsWith(key, StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
    }

    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern long sysconf(int name);
}
