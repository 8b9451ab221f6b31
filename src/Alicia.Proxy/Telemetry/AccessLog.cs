using System.Threading.Channels;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// The access log: requests leave entries in a bounded queue, one thread writes them. A request never waits for whoever reads the log; when the queue is full its line is
/// dropped and counted.
/// </summary>
/// <param name="configuration">Format of the lines.</param>
/// <param name="random">Decides which requests are sampled; called by many threads at once.</param>
/// <param name="output">Where the lines go. Whole lines are written at a time.</param>
/// <param name="time">For the time between two reports of dropped lines.</param>
/// <param name="logger">Reports dropped lines.</param>
internal sealed partial class AccessLog(CurrentConfiguration configuration, Random random, Stream output, TimeProvider time, ILogger<AccessLog> logger) : IHostedService
{
    /// <summary>Entries that may wait: a tenth of a second of the fastest traffic. With each text at its longest they hold 50 MB.</summary>
    public const int Capacity = 4096;

    /// <summary>Bytes after which a batch of lines is written though more are waiting.</summary>
    private const int BatchBytes = 64 * 1024;

    /// <summary>How long lines gather before they are written together. Written one by one, each would cost a wake-up and a system call.</summary>
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(20);

    /// <summary>How long a stop waits for the last lines.</summary>
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(2);

    /// <summary>Dropped lines are reported at most so often.</summary>
    private static readonly TimeSpan ReportEvery = TimeSpan.FromMinutes(1);

    private readonly Channel<AccessLogEntry> _entries =
        Channel.CreateBounded<AccessLogEntry>(new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.Wait, SingleReader = true });

    private readonly ManualResetEventSlim _stopping = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _dropped;
    private long _reported;
    private long _reportedAt;
    private bool _broken;

    /// <summary>Lines that were not written since the start, because the queue was full or writing failed.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <summary>Decides whether the next request gets a line.</summary>
    public bool Samples()
    {
        var share = configuration.Value.Logging.AccessLog;
        return share > 0 && (share >= 1 || random.NextDouble() < share);
    }

    /// <summary>Leaves an entry to be written.</summary>
    public void Write(AccessLogEntry entry)
    {
        if (!_entries.Writer.TryWrite(entry))
            Interlocked.Increment(ref _dropped);
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        // A thread of its own: writing to a pipe whose reader has stopped blocks, and must not do so on a thread that serves requests.
        new Thread(Run) { Name = "access log", IsBackground = true }.Start();
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _entries.Writer.TryComplete();
        _stopping.Set();
        await Task.WhenAny(_ended.Task, Task.Delay(Farewell, time, CancellationToken.None));
    }

    private void Run()
    {
        var line = new LogLine();
        try
        {
            while (_entries.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
            {
                _stopping.Wait(Gather);
                var format = configuration.Value.Logging.AccessLogFormat;
                while (Batch(line, format) is > 0 and var count)
                    Send(line, count);
                Report();
            }
        }
        catch (Exception e)
        {
            // Requests find the queue full from now on and go on without it.
            LogDied(logger, e);
        }
        finally
        {
            _ended.SetResult();
        }
    }

    /// <returns>How many lines it has.</returns>
    private int Batch(LogLine line, AccessLogFormat format)
    {
        var count = 0;
        line.Clear();
        while (line.Length < BatchBytes && _entries.Reader.TryRead(out var entry))
        {
            AccessLogLine.Write(line, entry, format);
            count++;
        }

        return count;
    }

    private void Send(LogLine line, int count)
    {
        try
        {
            output.Write(line.Written);
            output.Flush();
            _broken = false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            Interlocked.Add(ref _dropped, count);
            if (!_broken)
                LogBroken(logger, e);
            _broken = true;
        }
    }

    private void Report()
    {
        var dropped = Dropped;
        if (dropped == _reported || (_reportedAt != 0 && time.GetElapsedTime(_reportedAt) < ReportEvery))
            return;
        LogDropped(logger, dropped - _reported);
        (_reported, _reportedAt) = (dropped, time.GetTimestamp());
    }

    [LoggerMessage(LogLevel.Warning, "{Count} lines of the access log were dropped: whoever reads standard output does not keep up")]
    private static partial void LogDropped(ILogger logger, long count);

    [LoggerMessage(LogLevel.Warning, "The access log cannot be written; its lines are dropped until it can. Said once")]
    private static partial void LogBroken(ILogger logger, Exception error);

    [LoggerMessage(LogLevel.Error, "The access log ended by a fault of the proxy; requests go on without it")]
    private static partial void LogDied(ILogger logger, Exception error);
}
