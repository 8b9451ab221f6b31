using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Alicia.Proxy.Benchmarks.Load;

/// <summary>
/// Requests at a fixed rate, evenly spaced, whatever the answers take. A latency counts from when its request was due: one that had to wait because answers were late is as late as it is
/// for whoever wanted it.
/// </summary>
internal static class PacedLoad
{
    private const int SetTimerSlack = 29;

    /// <summary>Runs until <paramref name="end"/> (a <see cref="Stopwatch"/> timestamp), and until the last answer is there.</summary>
    public static Task RunAsync(IReadOnlyList<LoadConnection> connections, int perSecond, long end)
    {
        var finished = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                Pace(connections, perSecond, end);
                finished.SetResult();
            }
            catch (InvalidOperationException e)
            {
                finished.SetException(e);
            }
        })
        { IsBackground = true };
        thread.Start();
        return finished.Task;
    }

    private static void Pace(IReadOnlyList<LoadConnection> connections, int perSecond, long end)
    {
        // The kernel may otherwise wake a sleeper 50 µs late, to save power.
        if (prctl(SetTimerSlack, 1, 0, 0, 0) != 0)
            throw new InvalidOperationException($"no timer slack: errno {Marshal.GetLastPInvokeError()}");
        using var idle = new BlockingCollection<LoadConnection>(new ConcurrentQueue<LoadConnection>(connections));
        var broken = 0;
        async Task AskAsync(LoadConnection connection, long due)
        {
            if (await connection.TryAskAsync(due))
                idle.Add(connection);
            else
                Interlocked.Increment(ref broken);
        }

        var apart = Stopwatch.Frequency / (double)perSecond;
        var start = Stopwatch.GetTimestamp();
        for (long i = 0; ; i++)
        {
            var due = start + (long)(i * apart);
            if (due >= end)
                break;
            var wait = due - Stopwatch.GetTimestamp();
            if (wait > 0)
            {
                var time = new TimeSpec { Nanoseconds = (nint)(wait * (1e9 / Stopwatch.Frequency)) };
                // Cut short by a signal: the request goes early by less than the distance to the next.
                _ = nanosleep(ref time, 0);
            }

            LoadConnection? free;
            while (!idle.TryTake(out free, millisecondsTimeout: 100))
            {
                if (Volatile.Read(ref broken) == connections.Count)
                    return;
            }

            _ = AskAsync(free, due);
        }

        // The connections of the answers that are still to come.
        for (var back = 0; back + Volatile.Read(ref broken) < connections.Count;)
        {
            if (idle.TryTake(out _, millisecondsTimeout: 100))
                back++;
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public nint Seconds;
        public nint Nanoseconds;
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int prctl(int option, nuint a, nuint b, nuint c, nuint d);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int nanosleep(ref TimeSpec time, nint remaining);
}
