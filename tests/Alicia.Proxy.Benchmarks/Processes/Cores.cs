using System.Globalization;
using System.Runtime.InteropServices;

namespace Alicia.Proxy.Benchmarks.Processes;

/// <summary>Keeps processes to one core each, so that what one of them costs does not fall on what another is measured by.</summary>
internal static class Cores
{
    /// <summary>Keeps every thread of a process to a core; threads that it starts later are kept there too.</summary>
    /// <param name="process">Its id.</param>
    /// <param name="core">0 and up, at most 63.</param>
    public static void Keep(int process, int core)
    {
        var mask = 1UL << core;
        // Once more for threads that began while the first look went on.
        for (var look = 0; look < 2; look++)
        {
            foreach (var thread in Directory.GetDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/task")))
            {
                if (sched_setaffinity(int.Parse(Path.GetFileName(thread), CultureInfo.InvariantCulture), sizeof(ulong), ref mask) != 0 && Directory.Exists(thread))
                    throw new InvalidOperationException($"thread {thread} cannot be kept to core {core}: errno {Marshal.GetLastPInvokeError()}");
            }
        }
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int sched_setaffinity(int thread, nint size, ref ulong mask);
}
