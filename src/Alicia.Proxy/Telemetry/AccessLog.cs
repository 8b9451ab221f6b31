using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// The access log: requests add their lines to a bounded text, one thread writes it. A request never waits for whoever reads the log; when the text is full its line is
/// dropped and counted. The line is made on the request's own thread: that costs less than keeping what it is made of for another.
/// </summary>
/// <param name="configuration">Format of the lines.</param>
/// <param name="random">Decides which requests are sampled; called by many threads at once.</param>
/// <param name="output">Where the lines go. Whole lines are written at a time.</param>
/// <param name="time">For the time between two reports of dropped lines.</param>
/// <param name="logger">Reports dropped lines.</param>
internal sealed partial class AccessLog(CurrentConfiguration configuration, Random random, Stream output, TimeProvider time, ILogger<AccessLog> logger) : IHostedService
{
    /// <summary>Bytes that may wait to be written: a quarter of a second of the fastest traffic.</summary>
    public const int Capacity = 4 * 1024 * 1024;

    /// <summary>How long lines gather before they are written together. Written one by one, each would cost a wake-up and a system call.</summary>
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(20);

    /// <summary>How long a stop waits for the last lines.</summary>
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(2);

    /// <summary>Dropped lines are reported at most so often.</summary>
    private static readonly TimeSpan ReportEvery = TimeSpan.FromMinutes(1);

    /// <summary>Where a thread makes its lines.</summary>
    [ThreadStatic]
    private static LogLine? _line;

    private readonly Lock _lock = new();
    private readonly AutoResetEvent _any = new(false);
    private readonly ManualResetEventSlim _stopping = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private LogLine _waiting = new();
    private int _waitingLines;
    private long _dropped;
    private long _reported;
    private long _reportedAt;
    private bool _broken;
    private bool _over;

    /// <summary>Lines that were not written since the start, because too much waited or writing failed.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <summary>Decides whether the next request gets a line.</summary>
    public bool Samples()
    {
        var share = configuration.Value.Logging.AccessLog;
        return share > 0 && (share >= 1 || random.NextDouble() < share);
    }

    /// <summary>Leaves a line to be written.</summary>
    public void Write(in AccessLogEntry entry)
    {
        var line = _line ??= new LogLine();
        line.Clear();
        AccessLogLine.Write(line, in entry, configuration.Value.Logging.AccessLogFormat);
        bool first;
        lock (_lock)
        {
            if (_over || _waiting.Length + line.Length > Capacity)
            {
                Interlocked.Increment(ref _dropped);
                return;
            }

            first = _waitingLines++ == 0;
            _waiting.Raw(line.Written);
        }

        if (first)
            _any.Set();
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        // A thread of its own: writing to a pipe whose reader has stopped blocks, and must not do so on a thread that serves requests.
        new Thread(Run) { Name = "access log", IsBackground = true }.Start();
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _stopping.Set();
        _any.Set();
        await Task.WhenAny(_ended.Task, Task.Delay(Farewell, time, CancellationToken.None));
    }

    private void Run()
    {
        var writing = new LogLine();
        try
        {
            for (var stopping = false; !stopping;)
            {
                _any.WaitOne();
                _stopping.Wait(Gather);
                // Looked at before the last lines are taken: what was left before the stop is written.
                stopping = _stopping.IsSet;
                int count;
                lock (_lock)
                {
                    (writing, _waiting) = (_waiting, writing);
                    (count, _waitingLines) = (_waitingLines, 0);
                }

                if (count > 0)
                    Send(writing, count);
                writing.Clear();
                Report();
            }
        }
        catch (Exception e)
        {
            // Requests find the log closed from now on and go on without it.
            LogDied(logger, e);
        }
        finally
        {
            lock (_lock)
                _over = true;
            _ended.SetResult();
        }
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
