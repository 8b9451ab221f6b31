using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// The clock of one exchange: how long the instance may take to its response head, how long a body may be silent, how long everything may take. Made only
/// where the settings ask for more than YARP's one activity timeout can do.
/// </summary>
internal sealed class ExchangeDeadline : IDisposable
{
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _source;
    private readonly TimeSpan _response;
    private readonly TimeSpan _idle;
    private readonly TimeSpan? _overall;
    private readonly long _startedAt;
    private bool _answered;

    private ExchangeDeadline(ServiceSettings settings, TimeProvider time)
    {
        _time = time;
        _response = settings.Get(SettingKeys.ResponseTimeout);
        _idle = settings.Get(SettingKeys.IdleTimeout);
        _overall = settings.Get(SettingKeys.OverallTimeout);
        _startedAt = time.GetTimestamp();
        _source = new CancellationTokenSource(Next(_response), time);
    }

    /// <summary>Cancelled when time is up.</summary>
    public CancellationToken Token => _source.Token;

    public bool Expired => _source.IsCancellationRequested;

    /// <summary>A deadline for an exchange that begins now, or null when YARP's activity timeout does the same.</summary>
    public static ExchangeDeadline? For(ServiceSettings settings, TimeProvider time) =>
        settings.Get(SettingKeys.OverallTimeout) is null && settings.Get(SettingKeys.ResponseTimeout) == settings.Get(SettingKeys.IdleTimeout)
            ? null
            : new ExchangeDeadline(settings, time);

    /// <summary>Bytes of a body have moved: the wait for the head, or for the next bytes, begins again.</summary>
    public void Progress() => Rearm(_answered ? _idle : _response);

    /// <summary>The response head is here; from now on only silence and the overall limit count.</summary>
    public void Answered()
    {
        _answered = true;
        Rearm(_idle);
    }

    /// <summary>The connection was upgraded; who copies its bytes watches for silence.</summary>
    public void Upgraded() => Rearm(Timeout.InfiniteTimeSpan);

    public void Dispose() => _source.Dispose();

    private void Rearm(TimeSpan phase)
    {
        if (!_source.IsCancellationRequested)
            _source.CancelAfter(Next(phase));
    }

    /// <summary>The phase's time or what is left of the overall time, whichever is shorter.</summary>
    private TimeSpan Next(TimeSpan phase)
    {
        if (_overall is not { } overall)
            return phase;
        var left = overall - _time.GetElapsedTime(_startedAt);
        if (left < TimeSpan.Zero)
            left = TimeSpan.Zero;
        return phase == Timeout.InfiniteTimeSpan || left < phase ? left : phase;
    }
}

/// <summary>A request body that tells a deadline about its progress.</summary>
internal sealed class ProgressStream(Stream inner, ExchangeDeadline deadline) : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await inner.ReadAsync(buffer, cancellationToken);
        deadline.Progress();
        return read;
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
