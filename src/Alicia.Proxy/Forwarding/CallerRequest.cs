using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// One caller's request for one service, from its admission to the end of its answer, over all attempts at instances: where it goes now, where it has been, and where it goes next. What is counted of
/// the service once a request is counted here; what belongs to an attempt is its <see cref="Exchange"/>'s.
/// </summary>
/// <param name="context">The request.</param>
/// <param name="upstream">Its service.</param>
/// <param name="target">Raw path and query for the instance.</param>
/// <param name="strippedPrefix">What was taken off the front of the path, or empty.</param>
/// <param name="time">The clock.</param>
internal sealed class CallerRequest(HttpContext context, Upstream upstream, string target, string strippedPrefix, TimeProvider time)
{
    /// <summary>Kept connections of one instance that one request may find ended; each was looked at a moment before, so one is rare already.</summary>
    private const int MaxReopened = 3;

    private CallerBody? _body;
    private TriedInstances? _tried;
    private Admitted _next;
    private NextTry? _why;
    private int _charged;
    private int _reopened;
    private bool _allFull;
    private bool _entered;
    private bool _failed;
    private bool _measured;

    public HttpContext Context => context;

    public Upstream Upstream => upstream;

    public string Target => target;

    public string StrippedPrefix => strippedPrefix;

    /// <summary>When it came, as a timestamp: the overall deadline counts from here.</summary>
    public long StartedAt { get; init; } = time.GetTimestamp();

    /// <summary>What an in-line caller changes; null on the data plane.</summary>
    public IInlineGuard? Guard { get; init; }

    /// <summary>What is told of the request afterwards; null when nobody will.</summary>
    public RequestRecord? Record { get; init; }

    /// <summary>The instance whose slot it holds, or held last.</summary>
    public Admitted Admitted { get; private set; }

    /// <summary>True when it has waited for a slot.</summary>
    public bool HasWaited { get; set; }

    /// <summary>True when its time is up and the instance that had it last has not had all of that time: it is not to blame.</summary>
    public bool RanOutElsewhere => (HasWaited || Attempts > 1) && TimeLeft() == TimeSpan.Zero;

    /// <summary>Attempts that have begun, the one that runs now included.</summary>
    public int Attempts { get; private set; }

    private ServiceSettings Settings => Admitted.State.Settings;

    /// <summary>The request has an instance: an attempt begins.</summary>
    public void Enter(in Admitted admitted)
    {
        Admitted = admitted;
        Attempts++;
        if (_entered)
            return;
        _entered = true;
        upstream.Live.Enter();
    }

    /// <summary>The body as an attempt at an instance reads it, from its beginning; null when the request has none.</summary>
    public CallerBody? BeginBody(ExchangeDeadline? deadline)
    {
        if (_body is null)
        {
            if (context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody != true)
                return null;
            context.Request.Body = _body = new CallerBody(context.Request, upstream.Live, MostKept()) { Record = Record };
        }

        _body.Begin(deadline);
        return _body;
    }

    /// <summary>
    /// After an attempt that failed without a head: takes another instance's slot, and what it costs, if the rules, the deadline and the budget allow and there is one.
    /// </summary>
    public bool TryGoOn(AttemptResult result)
    {
        var next = RetryRule.AfterFailure(Outcome.FailureOf(result.Trouble!.Value.Error), result.IsUnsent, Attempted(), Settings, result.IsStale);
        return TryTake(next);
    }

    /// <summary>At a head that the caller has not seen: the same. When it says yes, the answer is to be dropped, and the request holds its next slot already.</summary>
    /// <param name="status">Status of the answer.</param>
    /// <param name="isUnavailable">Whether it says in gRPC's way that the instance cannot serve.</param>
    public bool TryGoOn(int status, bool isUnavailable)
    {
        if (TryTake(RetryRule.AfterHead(status, isUnavailable, Attempted(), Settings)))
            return true;
        // The answer is the caller's, and the rest of its body still the instance's.
        _body?.LetGo();
        return false;
    }

    /// <summary>After an instance failed and all others are full: waits for a slot, where the service lets requests wait.</summary>
    public async ValueTask<bool> TryWaitAsync()
    {
        if (_why is not { } why || !_allFull || upstream.Live.Waiters is not WaitingLine { Capacity: > 0 } line)
            return false;
        HasWaited = true;
        var limit = Settings.Get(SettingKeys.QueueTimeout);
        var (result, admitted) = await line.WaitAsync(context, _tried, TimeLeft() is { } left && left < limit ? left : limit);
        if (result != AdmissionResult.Admitted)
            return false;
        if (!context.RequestAborted.IsCancellationRequested && TimeLeft() != TimeSpan.Zero)
            return TryPay(why, admitted);
        admitted.Release();
        _why = null;
        return false;
    }

    /// <summary>After an instance failed and no other could be had: how long to wait until the same may be asked again; null when it may not.</summary>
    public TimeSpan? BackOff(Random random)
    {
        if (_why is not { MayReturn: true } why)
            return null;
        // The next connection is another one, and the instance has done nothing to be spared.
        if (!why.IsCharged)
            return _reopened++ < MaxReopened ? TimeSpan.Zero : null;
        if (!MayCharge())
            return null;
        // 25, 50, 100 ms…, one second at most; the jitter keeps requests that failed together from coming back together.
        var wait = TimeSpan.FromMilliseconds(Math.Min(1000, 25 << Math.Min(_charged, 10)) * (0.5 + (random.NextDouble() / 2)));
        return TimeLeft() is { } left && left <= wait ? null : wait;
    }

    /// <summary>After the back-off: any instance will do that was reached at all.</summary>
    public bool TryReturn()
    {
        _tried!.ForgiveReached();
        return TryTakeSlot(_why!.Value);
    }

    /// <summary>The slot that <see cref="TryGoOn(AttemptResult)"/> took: the next attempt begins.</summary>
    public Admitted TakeNext()
    {
        upstream.Live.CountRetry(_why!.Value.Reason);
        var next = _next;
        (_next, _why) = (default, null);
        return next;
    }

    /// <summary>What is left of the time that the service gives a request in all, 0 when nothing is; null when it gives any.</summary>
    public TimeSpan? TimeLeft()
    {
        if (Settings.Get(SettingKeys.OverallTimeout) is not { } overall)
            return null;
        var left = overall - time.GetElapsedTime(StartedAt);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    /// <summary>How long an attempt that begins now may take to its response head.</summary>
    public TimeSpan HeadTimeout()
    {
        var limit = Settings.Get(SettingKeys.ResponseTimeout);
        if (Settings.Get(SettingKeys.RetryPerTry) is { } perTry && perTry < limit)
            limit = perTry;
        return TimeLeft() is { } left && left < limit ? left : limit;
    }

    /// <summary>The caller gets, or would get, an instance's failure.</summary>
    public void CountFailure()
    {
        if (_failed)
            return;
        _failed = true;
        upstream.Live.CountFailure();
    }

    /// <summary>What counts as the request's end is there: how long it took to here is its length. Later calls change nothing.</summary>
    public void Measure()
    {
        if (_measured)
            return;
        _measured = true;
        upstream.Live.RecordDuration(time.GetElapsedTime(StartedAt).TotalSeconds);
    }

    /// <summary>No instance has anything more to do for the request. Later calls change nothing.</summary>
    public void Leave()
    {
        if (!_entered)
            return;
        _entered = false;
        Measure();
        upstream.Live.Leave();
        // Taken for an attempt that never began: an exception came between.
        _next.Release();
        _next = default;
    }

    private bool TryTake(NextTry? next)
    {
        _why = next;
        if (next is not { } why || (why.IsCharged && !MayCharge()) || context.RequestAborted.IsCancellationRequested || TimeLeft() == TimeSpan.Zero)
        {
            _why = null;
            return false;
        }

        if (_body?.TryHold() == false)
        {
            _why = null;
            return false;
        }

        (_tried ??= new TriedInstances()).Add(Admitted.Member.Live, why is { Reason: RetryReason.Unsent, MayReturn: false });
        return TryTakeSlot(why);
    }

    private bool TryTakeSlot(NextTry why)
    {
        // Who waits has waited longer.
        _allFull = upstream.Live.Waiters is { Depth: > 0 };
        if (_allFull)
            return false;
        var result = InstanceAdmission.TryAdmit(upstream, context, _tried, out var state, out var member, out var permit);
        _allFull = result == AdmissionResult.AllFull;
        return result == AdmissionResult.Admitted && TryPay(why, new Admitted(state, member, permit));
    }

    private bool TryPay(NextTry why, in Admitted next)
    {
        if (why.IsCharged && !upstream.Live.RetryBudget.TryTake(upstream.Live.TotalRequests, Settings.Get(SettingKeys.RetryBudgetPercent), Settings.Get(SettingKeys.RetryReserve)))
        {
            next.Release();
            _why = null;
            return false;
        }

        _next = next;
        _charged += why.IsCharged ? 1 : 0;
        return true;
    }

    private bool MayCharge() => _charged < Settings.Get(SettingKeys.RetryAttempts);

    private AttemptedRequest Attempted() =>
        new(Repeatable.IsIdempotent(context.Request), _body?.CanBeginAgain != false, IsTrial: Admitted.Permit != 0);

    /// <summary>
    /// Bytes of the body that are kept: only where the request may have to be sent again after some of it has been read. Over HTTP/2 that can be any request, because an instance can refuse
    /// a stream whose body is on its way and say that it has not begun on it.
    /// </summary>
    private int MostKept()
    {
        var most = Settings.Get(SettingKeys.RetryBufferBytes);
        return Settings.Get(SettingKeys.RetryAttempts) == 0 || context.Request.ContentLength > most
            || !(Repeatable.IsIdempotent(context.Request) || Admitted.Member.Endpoint.Protocol != UpstreamProtocol.Http1)
            ? 0
            : most;
    }
}
