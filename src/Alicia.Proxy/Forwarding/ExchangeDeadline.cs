using Alicia.Proxy.Balancing;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// The clock of one exchange: how long the instance may take to its response head, how long a body may be silent, how long this try may take to the head, and how long the request may take with all
/// its tries. Made only where the settings ask for more than YARP's one activity timeout can do.
/// </summary>
internal sealed class ExchangeDeadline : IDisposable
{
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _source;
    private readonly TimeSpan _response;
    private readonly TimeSpan _eventStreamIdle;
    private TimeSpan _idle;
    private readonly TimeSpan? _overall;
    private readonly TimeSpan? _perTry;
    private readonly long _requestAt;
    private readonly long _startedAt;
    private bool _answered;

    private ExchangeDeadline(ServiceSettings settings, TimeProvider time, long requestAt)
    {
        _time = time;
        _response = settings.Get(SettingKeys.ResponseTimeout);
        _idle = settings.Get(SettingKeys.IdleTimeout);
        _overall = settings.Get(SettingKeys.OverallTimeout);
        _eventStreamIdle = settings.Get(SettingKeys.EventStreamIdle);
        _perTry = settings.Get(SettingKeys.RetryPerTry);
        _requestAt = requestAt;
        _startedAt = time.GetTimestamp();
        _source = new CancellationTokenSource(Next(_response), time);
    }

    /// <summary>Cancelled when time is up.</summary>
    public CancellationToken Token => _source.Token;

    public bool Expired => _source.IsCancellationRequested;

    /// <summary>A deadline for an exchange that begins now, or null when YARP's activity timeout does the same.</summary>
    /// <param name="settings">Of the service.</param>
    /// <param name="time">The clock.</param>
    /// <param name="requestAt">When the request came, as a timestamp.</param>
    /// <param name="silence">What silences it may have: YARP has one timeout for all phases of a request, and for some requests only a late phase may be silent for long.</param>
    public static ExchangeDeadline? For(ServiceSettings settings, TimeProvider time, long requestAt, Silence silence) =>
        silence == Silence.Ordinary && settings.Get(SettingKeys.OverallTimeout) is null && settings.Get(SettingKeys.RetryPerTry) is null && settings.Get(SettingKeys.ResponseTimeout) == settings.Get(SettingKeys.IdleTimeout)
        && settings.Get(SettingKeys.EventStreamIdle) >= settings.Get(SettingKeys.IdleTimeout)
            ? null
            : new ExchangeDeadline(settings, time, requestAt);

    /// <summary>Bytes of a body have moved, or the next ones are waited for: the time that they may be silent begins again.</summary>
    public void Progress() => Rearm(_idle);

    /// <summary>The request has gone out whole: now the wait for the head counts, unless it is here already.</summary>
    public void Sent() => Rearm(_answered ? _idle : _response);

    /// <summary>The response head is here; from now on only silence and the overall limit count.</summary>
    public void Answered()
    {
        _answered = true;
        Rearm(_idle);
    }

    /// <summary>
    /// The answer is a stream of events: silences in it have a limit of their own. Where the request did not ask for such, YARP's timeout, which was set before anybody knew of the answer, may end it earlier.
    /// </summary>
    public void StreamsEvents()
    {
        _idle = _eventStreamIdle;
        Rearm(_idle);
    }

    /// <summary>The connection was upgraded; who copies its bytes watches for silence.</summary>
    public void Upgraded()
    {
        _answered = true;
        Rearm(Timeout.InfiniteTimeSpan);
    }

    public void Dispose() => _source.Dispose();

    private void Rearm(TimeSpan phase)
    {
        if (!_source.IsCancellationRequested)
            _source.CancelAfter(Next(phase));
    }

    /// <summary>The phase's time or what is left of the try's or the overall time, whichever is shorter.</summary>
    private TimeSpan Next(TimeSpan phase)
    {
        if (!_answered && _perTry is { } perTry)
            phase = Shorter(phase, perTry - _time.GetElapsedTime(_startedAt));
        return _overall is { } overall ? Shorter(phase, overall - _time.GetElapsedTime(_requestAt)) : phase;
    }

    private static TimeSpan Shorter(TimeSpan phase, TimeSpan left)
    {
        if (left < TimeSpan.Zero)
            left = TimeSpan.Zero;
        return phase == Timeout.InfiniteTimeSpan || left < phase ? left : phase;
    }
}
