using Alicia.Proxy.Live;

namespace Alicia.Proxy.Circuit;

/// <summary>
/// The door to one instance. Brings together what its attempts say (the circuit), what its probes say, and suspicion, and opens or shuts the instance's slots
/// accordingly. One per epoch. Safe under any concurrency; on a closed circuit without failures a success costs one read.
/// </summary>
internal sealed class InstanceGate
{
    private readonly Lock _lock = new();
    private readonly CircuitMachine _machine;
    private readonly GateSurroundings _surroundings;
    private readonly TimeProvider _time;
    private readonly DateTimeOffset _madeAt;
    private readonly long _madeAtTimestamp;
    private ITimer? _timer;
    private int _standing;
    private bool _quiet = true;
    private bool _suspected;
    private volatile bool _onlySuspected;
    private bool _retired;
    private int _passesSinceOpen;
    private int _permits;
    private int _permit;
    private long _trialOpenSince;
    private DateTimeOffset _permitExpires;

    public InstanceGate(string service, string instanceId, InstanceLive live, CircuitSettings settings, GateSurroundings surroundings, TimeProvider time)
    {
        (Service, InstanceId, Live, _surroundings, _time) = (service, instanceId, live, surroundings, time);
        (_madeAt, _madeAtTimestamp) = (time.GetUtcNow(), time.GetTimestamp());
        _machine = new CircuitMachine(settings);
    }

    /// <summary>A gate that stands open and that nobody hears of: for code that picks without forwarding.</summary>
    public static InstanceGate Detached(InstanceLive live) => new("", "", live, new CircuitSettings(5, TimeSpan.FromMinutes(1), 3), GateSurroundings.None, TimeProvider.System);

    public string Service { get; }

    public string InstanceId { get; }

    public InstanceLive Live { get; }

    /// <summary>The instances that this one serves beside. Set before the first request.</summary>
    public ServiceGates? Siblings { get; set; }

    public GateStanding Standing => (GateStanding)Volatile.Read(ref _standing);

    /// <summary>The time by a clock that never jumps; when somebody sets the machine's, a circuit stays open neither longer nor shorter for it.</summary>
    private DateTimeOffset Now => _madeAt + _time.GetElapsedTime(_madeAtTimestamp);

    private Lock Openings => Siblings?.Openings ?? _lock;

    /// <summary>True when the instance was out of use last because of a suspicion, and of nothing else.</summary>
    public bool WasOnlySuspected => _onlySuspected;

    /// <summary>True unless the circuit is closed.</summary>
    public bool CircuitOut { get; private set; }

    public GateReading Read()
    {
        lock (_lock)
        {
            return new GateReading(_machine.State, _machine.ConsecutiveFailures, _machine.Reason, _machine.OpenedAt, _machine.RetryAt, _machine.RetryAt - Now, _machine.Held, _suspected);
        }
    }

    /// <summary>Takes over thresholds and times; from the next event on.</summary>
    public void Use(CircuitSettings settings)
    {
        lock (_lock)
            _machine.Settings = settings;
    }

    /// <summary>An attempt got its response head, and it was no failure.</summary>
    /// <param name="permit">The attempt's permit, or 0 for an ordinary one.</param>
    public void Succeeded(int permit)
    {
        if (permit == 0 && Volatile.Read(ref _quiet))
            return;
        CircuitTransition? moved;
        lock (_lock)
        {
            if (permit != 0 && permit != _permit)
                return;
            moved = _machine.Succeeded(permit != 0, Now);
            Settle_NeedsLock(moved);
        }

        Tell(moved);
    }

    /// <summary>An attempt failed, at the latest at its response head.</summary>
    /// <param name="failure">How.</param>
    /// <param name="status">The status that was the failure, or 0.</param>
    /// <param name="permit">The attempt's permit, or 0 for an ordinary one.</param>
    public void Failed(AttemptFailure failure, int status, int permit)
    {
        CircuitTransition? moved = null;
        var held = false;
        bool spared;
        lock (Openings)
        {
            // One endpoint that answers 500 must not switch off a service that has nothing else.
            spared = failure == AttemptFailure.Status && status is not (502 or 503 or 504) && Siblings?.HasOther(this) != true;
            if (!spared)
                (moved, held) = Fail_NeedsOpenings(failure, permit);
        }

        if (spared)
        {
            // An instance on trial that answers is alive.
            if (permit != 0)
                Succeeded(permit);
            return;
        }

        if (held)
            _surroundings.OpeningHeld(this);
        Tell(moved);
        if (failure is AttemptFailure.Connect or AttemptFailure.Reset)
            _surroundings.Doubted(this, refused: failure == AttemptFailure.Connect);
    }

    private (CircuitTransition? Moved, bool Held) Fail_NeedsOpenings(AttemptFailure failure, int permit)
    {
        lock (_lock)
        {
            if (permit != 0 && permit != _permit)
                return (null, false);
            var before = _machine.Held;
            var moved = _machine.Failed(failure, permit != 0, permit != 0 || Siblings?.MayEject(this) != false, Now);
            Settle_NeedsLock(moved);
            return (moved, _machine.Held != before);
        }
    }

    /// <summary>
    /// Opens the circuit of an instance that is far worse than its peers, if the service can do without it: never its only usable instance, nor beyond the limit on ejections.
    /// </summary>
    /// <param name="reason">In what it is worse.</param>
    /// <returns>True when the circuit opened.</returns>
    public bool Eject(CircuitReason reason)
    {
        CircuitTransition? moved;
        bool held;
        lock (Openings)
        {
            if (Siblings?.HasOther(this) != true)
                return false;
            lock (_lock)
            {
                var before = _machine.Held;
                moved = _machine.Ejected(reason, Siblings.MayEject(this), Now);
                Settle_NeedsLock(moved);
                held = _machine.Held != before;
            }
        }

        if (held)
            _surroundings.OpeningHeld(this);
        Tell(moved);
        return moved is not null;
    }

    /// <summary>An instance did something that only a dying one does, too late to count against the circuit: it broke off an answer.</summary>
    public void BrokeOff() => _surroundings.Doubted(this, refused: false);

    /// <summary>
    /// How long the trial of a half-open circuit waits for a request that could go elsewhere if it fails. After that any request will do: better one that may fail than an instance that stays out.
    /// </summary>
    public static readonly TimeSpan TrialPatience = TimeSpan.FromSeconds(1);

    /// <summary>Asks for the one trial of a half-open circuit, with a slot. The slot is given back by the caller, the permit through <see cref="EndTrial"/>.</summary>
    /// <param name="permit">The permit.</param>
    /// <param name="onlyIfOverdue">True for a request that would be the trial's victim if it failed, where others might not.</param>
    public bool TryTrial(out int permit, bool onlyIfOverdue = false)
    {
        permit = 0;
        if (Standing != GateStanding.Trial || (onlyIfOverdue && _time.GetElapsedTime(Volatile.Read(ref _trialOpenSince)) < TrialPatience))
            return false;
        lock (_lock)
        {
            var now = Now;
            // A permit expires: a trial that never ends must not keep the instance out for ever. Whatever it comes to then counts no more.
            if (Standing != GateStanding.Trial || (_permit != 0 && now < _permitExpires) || !Live.TryReserveTrial())
                return false;
            _permits = _permits == int.MaxValue ? 1 : _permits + 1;
            permit = _permit = _permits;
            _permitExpires = now + _machine.Settings.RecoveryTimeout;
            return true;
        }
    }

    /// <summary>The trial is over, whatever came of it; the next may begin.</summary>
    public void EndTrial(int permit)
    {
        lock (_lock)
        {
            if (_permit != permit)
                return;
            _permit = 0;
            Volatile.Write(ref _trialOpenSince, _time.GetTimestamp());
        }
    }

    /// <summary>A probe passed.</summary>
    /// <param name="rise">How many in a row let an open circuit be tried.</param>
    public void ProbePassed(int rise)
    {
        CircuitTransition? moved = null;
        lock (_lock)
        {
            _suspected = false;
            if (_machine.State == CircuitState.Open && ++_passesSinceOpen >= rise)
                moved = _machine.ProbesPassed(Now);
            Settle_NeedsLock(moved);
        }

        Tell(moved);
    }

    /// <summary>A probe failed; the verdict may stand all the same.</summary>
    public void ProbeFailed()
    {
        lock (_lock)
            _passesSinceOpen = 0;
    }

    /// <summary>The probes' verdict moved.</summary>
    /// <param name="health">The verdict.</param>
    /// <param name="served">Whether the instance has ever been in the rotation. A newcomer has no circuit to open: it is tried by its first good probe.</param>
    public void Judge(HealthStatus health, bool served = true)
    {
        CircuitTransition? moved = null;
        lock (Openings)
        {
            lock (_lock)
            {
                Live.Health = health;
                if (health == HealthStatus.Unhealthy)
                {
                    _suspected = false;
                    // Beyond the limit on ejections the circuit stays closed; the instance gets nothing all the same, because it is known to be dead.
                    if (served && (_machine.State != CircuitState.Closed || Siblings?.MayEject(this) != false))
                        moved = _machine.ProbesFailed(Now);
                }

                Settle_NeedsLock(moved);
            }
        }

        Tell(moved);
    }

    /// <summary>The instance is not probed any more: what its probes said no longer counts.</summary>
    public void ProbesEnded()
    {
        CircuitTransition? moved;
        lock (_lock)
        {
            Live.Health = HealthStatus.Unknown;
            _suspected = false;
            moved = _machine.ProbesEnded(Now);
            Settle_NeedsLock(moved);
        }

        Tell(moved);
    }

    /// <summary>Somebody says that the instance is gone. New requests wait for what a probe says.</summary>
    public void Suspect()
    {
        lock (_lock)
        {
            _suspected = true;
            Settle_NeedsLock(null);
        }
    }

    /// <summary>Takes a suspicion back where no probe will.</summary>
    public void Trust()
    {
        lock (_lock)
        {
            _suspected = false;
            Settle_NeedsLock(null);
        }
    }

    /// <summary>Opens the circuit until it is closed by hand.</summary>
    public void OpenByHand() => ByHand(static (machine, now) => machine.OpenByHand(now));

    /// <summary>Closes the circuit, however it was opened. An instance that fails its probes stays out until they pass.</summary>
    public void CloseByHand() => ByHand(static (machine, now) => machine.CloseByHand(now));

    /// <summary>The epoch has left; no timer outlives it.</summary>
    public void Retire()
    {
        lock (_lock)
        {
            _retired = true;
            _timer?.Dispose();
            _timer = null;
        }
    }

    private void ByHand(Func<CircuitMachine, DateTimeOffset, CircuitTransition?> change)
    {
        CircuitTransition? moved;
        lock (_lock)
        {
            moved = change(_machine, Now);
            Settle_NeedsLock(moved);
        }

        Tell(moved);
    }

    private void RecoveryTimeOver()
    {
        CircuitTransition? moved;
        lock (_lock)
        {
            moved = _machine.Tick(Now);
            Settle_NeedsLock(moved);
        }

        Tell(moved);
    }

    /// <summary>Makes standing, slots and timer follow the machine.</summary>
    private void Settle_NeedsLock(CircuitTransition? moved)
    {
        Volatile.Write(ref _quiet, _machine is { State: CircuitState.Closed, ConsecutiveFailures: 0 });
        if (moved is not null)
        {
            _permit = 0;
            _passesSinceOpen = 0;
            CircuitOut = _machine.State != CircuitState.Closed;
        }

        var standing = _suspected || Live.Health == HealthStatus.Unhealthy || _machine.State == CircuitState.Open ? GateStanding.Shut
            : _machine.State == CircuitState.HalfOpen ? GateStanding.Trial
            : GateStanding.Usable;
        if (standing != GateStanding.Usable)
            _onlySuspected = (_standing == (int)GateStanding.Usable || _onlySuspected) && Live.Health != HealthStatus.Unhealthy && _machine.State == CircuitState.Closed;
        SetTimer_NeedsLock();
        if ((int)standing == _standing)
        {
            if (moved is { } same)
                _surroundings.Moved(this, same);
            return;
        }

        // The standing first: who finds the slots shut and looks at the standing sees why.
        if (standing == GateStanding.Trial)
            Volatile.Write(ref _trialOpenSince, _time.GetTimestamp());
        Volatile.Write(ref _standing, (int)standing);
        Live.Shut = standing != GateStanding.Usable;
        if (moved is { } transition)
            _surroundings.Moved(this, transition);
        _surroundings.StandingChanged(this);
    }

    private void SetTimer_NeedsLock()
    {
        if (_machine.RetryAt is not { } at || _retired)
        {
            _timer?.Dispose();
            _timer = null;
            return;
        }

        var left = at - Now;
        if (left < TimeSpan.Zero)
            left = TimeSpan.Zero;
        _timer ??= _time.CreateTimer(static gate => ((InstanceGate)gate!).RecoveryTimeOver(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        // A timer may fire a little early by the wall clock; the machine would then wait for ever.
        _timer.Change(left + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }

    private void Tell(CircuitTransition? moved)
    {
        if (moved is not { } transition)
            return;
        _surroundings.Log(this, transition);
        // Whether probes find the same decides how it goes on; the next by the schedule may be half a minute away.
        if (transition is { To: CircuitState.Open, Reason: CircuitReason.Timeouts or CircuitReason.ProtocolErrors })
            _surroundings.Doubted(this, refused: false);
    }
}
