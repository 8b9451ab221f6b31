namespace Alicia.Proxy.Circuit;

/// <summary>
/// Decides when an instance gets no requests, and how it gets them back. Time and what happened go in, a transition with its reason
/// comes out, null when the state stays. It has no clock and no lock; whoever owns it calls one method at a time.
/// <para>
/// Closed → open: failures of requests in a row, a comparison with its peers, the probes' verdict, or an operator. Open → half-open: its time is over, or good
/// probes. Half-open → closed: trials in a row that succeed; or → open again, for twice as long as before.
/// </para>
/// <para>
/// Who opened it decides who may half-open it. Good probes outweigh what probes meet too: failing probes, and connections that fail.
/// They say nothing about bad answers, as an instance may answer its probes well and every request with a 500; such a circuit waits
/// its time. Failing probes in turn hold any circuit open beyond its time, as a trial would only cost a caller his request.
/// </para>
/// </summary>
internal sealed class CircuitMachine(CircuitSettings settings)
{
    /// <summary>The doubling ends here, or at the recovery timeout where that is longer.</summary>
    public static readonly TimeSpan MaxRecovery = TimeSpan.FromMinutes(5);

    /// <summary>Where the count of trips stops: 2^62 times any timeout is beyond every cap, and a shift by 63 would reach the sign.</summary>
    private const int MostTrips = 63;

    /// <summary>Openings since the circuit was last closed; 0 exactly while it is closed.</summary>
    private int _trips;

    /// <summary>Trials that succeeded since it became half-open.</summary>
    private int _trialSuccesses;

    /// <summary>Who opened it; means nothing while it is closed.</summary>
    private Opener _opener;

    /// <summary>The probes called the instance unhealthy and have not taken that back; only ever true while the circuit is open.</summary>
    private bool _probesFailing;

    /// <summary>End of the time that this opening lasts by itself, whether or not that counts now; means nothing while it is closed.</summary>
    private DateTimeOffset _recoveredAt;

    private enum Opener
    {
        /// <summary>The probes' verdict.</summary>
        Probes,

        /// <summary>A connection that failed, a timeout, a reset, an answer that is not HTTP.</summary>
        Transport,

        /// <summary>Whole answers: one that says failure, or many that were worse than those of others.</summary>
        Answer,

        Operator,
    }

    /// <summary>May change at any time; what is decided already (the end of a running recovery time) stays decided.</summary>
    public CircuitSettings Settings { get; set; } = settings;

    public CircuitState State { get; private set; }

    /// <summary>Failed requests since the last good one, as far as they counted: all while closed, trials while half-open, never probes.</summary>
    public int ConsecutiveFailures { get; private set; }

    /// <summary>Why it was opened, also while it is half-open; null while it is closed.</summary>
    public CircuitReason? Reason { get; private set; }

    /// <summary>When it was last opened, also while it is half-open; null while it is closed.</summary>
    public DateTimeOffset? OpenedAt { get; private set; }

    /// <summary>From when on time alone half-opens it; null while it is closed or half-open, was opened by hand, or the probes fail.</summary>
    public DateTimeOffset? RetryAt => State == CircuitState.Open && _opener != Opener.Operator && !_probesFailing ? _recoveredAt : null;

    /// <summary>How often it would have opened and was not allowed to, over the whole life of the instance.</summary>
    public long Held { get; private set; }

    /// <summary>
    /// An attempt failed; <paramref name="trial"/> if it was the one that a half-open circuit let through. Without
    /// <paramref name="mayOpen"/> a closed circuit stays closed, as too many others are open; a half-open one is out already and is not asked.
    /// </summary>
    public CircuitTransition? Failed(AttemptFailure failure, bool trial, bool mayOpen, DateTimeOffset now)
    {
        if (!Counts(trial))
            return null;
        if (ConsecutiveFailures < int.MaxValue)
            ConsecutiveFailures++;
        if (trial)
            return Open(CircuitReason.TrialFailed, OpenerOf(failure), now);
        if (ConsecutiveFailures < Settings.FailureThreshold)
            return null;
        if (mayOpen)
            return Open(ReasonOf(failure), OpenerOf(failure), now);
        Held++;
        return null;
    }

    /// <summary>An attempt succeeded; <paramref name="trial"/> if it was the one that a half-open circuit let through.</summary>
    public CircuitTransition? Succeeded(bool trial, DateTimeOffset now)
    {
        if (!Counts(trial))
            return null;
        ConsecutiveFailures = 0;
        return trial && ++_trialSuccesses >= Settings.SuccessThreshold ? Close(CircuitReason.TrialsSucceeded) : null;
    }

    /// <summary>
    /// The instance is far worse than its peers; <paramref name="reason"/> says in what. Only a closed circuit is asked: what is out already gets no requests to be compared by. Without
    /// <paramref name="mayOpen"/> it stays closed. Good probes do not bring it back before its time: they passed all along.
    /// </summary>
    public CircuitTransition? Ejected(CircuitReason reason, bool mayOpen, DateTimeOffset now)
    {
        if (State != CircuitState.Closed)
            return null;
        if (mayOpen)
            return Open(reason, Opener.Answer, now);
        Held++;
        return null;
    }

    /// <summary>The probes' verdict became unhealthy. That asks for no threshold and no leave; the caller has seen to both.</summary>
    public CircuitTransition? ProbesFailed(DateTimeOffset now)
    {
        if (State != CircuitState.Open)
            return Open(CircuitReason.ProbesFailed, Opener.Probes, now);
        _probesFailing = true;
        return null;
    }

    /// <summary>Enough probes in a row succeeded.</summary>
    public CircuitTransition? ProbesPassed(DateTimeOffset now)
    {
        _probesFailing = false;
        return State == CircuitState.Open && _opener is Opener.Probes or Opener.Transport ? HalfOpen(CircuitReason.ProbesPassed) : Tick(now);
    }

    /// <summary>The instance is no longer probed, so that no verdict of probes will come any more; from here on time alone counts.</summary>
    public CircuitTransition? ProbesEnded(DateTimeOffset now)
    {
        // Its time may have begun long ago, but the instance was bad until now.
        if (_probesFailing && _opener == Opener.Probes)
            _recoveredAt = now + RecoveryTime();
        _probesFailing = false;
        return Tick(now);
    }

    /// <summary>Half-opens a circuit whose time is over; the instant of <see cref="RetryAt"/> itself is late enough.</summary>
    public CircuitTransition? Tick(DateTimeOffset now) => now >= RetryAt ? HalfOpen(CircuitReason.RecoveryTimeOver) : null;

    /// <summary>Opens it until <see cref="CloseByHand"/>. One that is open already passes to the operator without a transition.</summary>
    public CircuitTransition? OpenByHand(DateTimeOffset now) =>
        State == CircuitState.Open && _opener == Opener.Operator ? null : Open(CircuitReason.Operator, Opener.Operator, now);

    /// <summary>Closes it whatever opened it, and forgets the past; on a closed one, the failures counted so far.</summary>
    public CircuitTransition? CloseByHand(DateTimeOffset now) => Close(CircuitReason.Operator);

    /// <summary>
    /// A request counts in the state that it was sent in: all in a closed circuit, the trial in a half-open one. What ends in another began before the
    /// circuit moved and says nothing about the instance as it is now.
    /// </summary>
    private bool Counts(bool trial) => State == (trial ? CircuitState.HalfOpen : CircuitState.Closed);

    private CircuitTransition? Open(CircuitReason reason, Opener opener, DateTimeOffset now)
    {
        _trips = Math.Min(_trips + 1, MostTrips);
        _opener = opener;
        _probesFailing = opener == Opener.Probes;
        _recoveredAt = now + RecoveryTime();
        Reason = reason;
        OpenedAt = now;
        return Enter(CircuitState.Open, reason);
    }

    private CircuitTransition? HalfOpen(CircuitReason reason)
    {
        _trialSuccesses = 0;
        return Enter(CircuitState.HalfOpen, reason);
    }

    private CircuitTransition? Close(CircuitReason reason)
    {
        _trips = 0;
        _probesFailing = false;
        ConsecutiveFailures = 0;
        Reason = null;
        OpenedAt = null;
        return Enter(CircuitState.Closed, reason);
    }

    private CircuitTransition? Enter(CircuitState state, CircuitReason reason)
    {
        var from = State;
        State = state;
        return from == state ? null : new CircuitTransition(from, state, reason);
    }

    /// <summary>The recovery timeout, doubled for every trip after the first, up to the cap.</summary>
    private TimeSpan RecoveryTime()
    {
        var cap = Math.Max(MaxRecovery.Ticks, Settings.RecoveryTimeout.Ticks);
        var doublings = _trips - 1;
        // The cap is halved rather than the timeout doubled first, as that could overflow.
        return Settings.RecoveryTimeout.Ticks > cap >> doublings
            ? TimeSpan.FromTicks(cap)
            : TimeSpan.FromTicks(Settings.RecoveryTimeout.Ticks << doublings);
    }

    // No default arms: a new kind of failure shall stop the build (CS8509). CS8524 is about numbers that are no value of the enum; those throw.
#pragma warning disable CS8524
    private static CircuitReason ReasonOf(AttemptFailure failure) => failure switch
    {
        AttemptFailure.Connect => CircuitReason.ConnectErrors,
        AttemptFailure.Timeout => CircuitReason.Timeouts,
        AttemptFailure.Reset => CircuitReason.Resets,
        AttemptFailure.Protocol => CircuitReason.ProtocolErrors,
        AttemptFailure.Status => CircuitReason.FailureStatuses,
        AttemptFailure.Grpc => CircuitReason.GrpcUnavailable,
    };

    private static Opener OpenerOf(AttemptFailure failure) => failure switch
    {
        AttemptFailure.Connect or AttemptFailure.Timeout or AttemptFailure.Reset or AttemptFailure.Protocol => Opener.Transport,
        AttemptFailure.Status or AttemptFailure.Grpc => Opener.Answer,
    };
#pragma warning restore CS8524
}
