using System.Diagnostics;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// What the process costs, under the names that Prometheus's own libraries use; and the two gauges of the runtime's meter that it gives as counters.
/// The rest of the runtime's figures are its own (<see cref="MetricPipeline"/>).
/// </summary>
internal sealed class ProcessMetrics
{
    private const string Descriptors = "/proc/self/fd";

    public ProcessMetrics(ProxyMeter meter)
    {
        double startedAt;
        using (var self = Process.GetCurrentProcess())
            startedAt = (self.StartTime.ToUniversalTime() - DateTime.UnixEpoch).TotalSeconds;
        meter.Gauge("process_start_time", "s", "When the process began, in Unix time.", () => startedAt);
        meter.Counter("process_cpu", "s", "CPU time of the process, user and system.", () => Environment.CpuUsage.TotalTime.TotalSeconds);
        meter.Gauge("process_resident_memory", "By", "Memory of the process that is in RAM.", () => Environment.WorkingSet);
        if (Directory.Exists(Descriptors))
            meter.Gauge("process_open_fds", null, "Open file descriptors, sockets included.", () => Directory.EnumerateFileSystemEntries(Descriptors).LongCount());
        meter.Gauge("dotnet_thread_pool_threads", null, "Threads of the thread pool.", () => (long)ThreadPool.ThreadCount);
        meter.Gauge("dotnet_thread_pool_queue", null, "Work items that wait for a thread.", () => ThreadPool.PendingWorkItemCount);
    }
}
