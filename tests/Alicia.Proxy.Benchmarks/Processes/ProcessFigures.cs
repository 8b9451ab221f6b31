using System.Globalization;
using System.Runtime.InteropServices;

namespace Alicia.Proxy.Benchmarks.Processes;

/// <summary>What the kernel says of a process: CPU time and memory, of its children too (nginx works in children).</summary>
internal static class ProcessFigures
{
    /// <summary>User and system time so far in seconds, to the nanosecond: the kernel's account of the process, threads that have ended included.</summary>
    /// <exception cref="InvalidOperationException">The process is gone.</exception>
    public static double CpuSeconds(int id) => WithChildren(id).Sum(OwnCpuSeconds);

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

    private static double OwnCpuSeconds(int id)
    {
        var time = default(TimeSpec);
        var fault = clock_getcpuclockid(id, out var clock);
        if (fault != 0 || clock_gettime(clock, ref time) != 0)
            throw new InvalidOperationException($"no account of process {id}: errno {(fault != 0 ? fault : Marshal.GetLastPInvokeError())}");
        return time.Seconds + (time.Nanoseconds / 1e9);
    }

    private static long KiB(int id, string key)
    {
        var line = File.ReadLines($"/proc/{id}/status").First(l => l.StartsWith(key, StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public nint Seconds;
        public nint Nanoseconds;
    }

    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int clock_getcpuclockid(int process, out int clock);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int clock_gettime(int clock, ref TimeSpec time);
}
