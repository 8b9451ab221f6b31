using Alicia.Proxy.Circuit;

namespace Alicia.Proxy.UnitTests.Circuit;

/// <summary>
/// The rules of the circuit once more, told as questions to history: it keeps every step with the states before and after it, and derives everything
/// else by looking back. Slow and plain, so that it can be read against the rules, and sharing no code with the machine that it is held against.
/// </summary>
internal sealed class CircuitModel(CircuitSettings settings)
{
    private readonly List<Fact> _history = [];
    private CircuitSettings _settings = settings;

    private enum Cause
    {
        Probes,
        Transport,
        Answer,
    }

    public CircuitState State => _history.Count == 0 ? CircuitState.Closed : _history[^1].After;

    public long Held => _history.Count(f => f.Held);

    /// <summary>Results that counted, latest first, up to the first success.</summary>
    public int ConsecutiveFailures =>
        SinceClosed().Reverse().Where(f => f.Counted).TakeWhile(f => f.Step.Kind == StepKind.Failed).Count();

    public CircuitReason? Reason
    {
        get
        {
            if (State == CircuitState.Closed)
                return null;
            if (ByHand() is not null)
                return CircuitReason.Operator;
            var step = LastOpening().Step;
            return step.Kind == StepKind.ProbesFailed ? CircuitReason.ProbesFailed
                : step.Trial ? CircuitReason.TrialFailed
                : Words[step.Failure];
        }
    }

    public DateTimeOffset? OpenedAt => State == CircuitState.Closed ? null : (ByHand() ?? LastOpening()).At;

    public DateTimeOffset? RetryAt
    {
        get
        {
            if (State != CircuitState.Open || ByHand() is not null || LastWordOfProbes() == StepKind.ProbesFailed)
                return null;
            var start = LastOpening();
            if (CauseOf(start) == Cause.Probes)
            {
                // It waits from the first end of probing after the last bad verdict.
                var bad = _history.FindLastIndex(f => f.Step.Kind == StepKind.ProbesFailed);
                start = _history.Skip(bad).First(f => f.Step.Kind == StepKind.ProbesEnded);
            }

            return start.At + RecoveryTime(start.Settings, SinceClosed().Count(f => f.Opened));
        }
    }

    private static Dictionary<AttemptFailure, CircuitReason> Words => new()
    {
        [AttemptFailure.Connect] = CircuitReason.ConnectErrors,
        [AttemptFailure.Timeout] = CircuitReason.Timeouts,
        [AttemptFailure.Reset] = CircuitReason.Resets,
        [AttemptFailure.Protocol] = CircuitReason.ProtocolErrors,
        [AttemptFailure.Status] = CircuitReason.FailureStatuses,
        [AttemptFailure.Grpc] = CircuitReason.GrpcUnavailable,
    };

    public CircuitTransition? Apply(CircuitStep step, DateTimeOffset now)
    {
        if (step.Kind == StepKind.Configure)
        {
            _settings = step.Settings;
            return null;
        }

        var before = State;
        var (after, reason, held) = Next(step);
        _history.Add(new Fact(step, now, _settings, before, after, held));
        var maybeOver = step.Kind is StepKind.Tick or StepKind.ProbesPassed or StepKind.ProbesEnded;
        if (maybeOver && after == CircuitState.Open && RetryAt is { } due && due <= now)
        {
            (after, reason) = (CircuitState.HalfOpen, CircuitReason.RecoveryTimeOver);
            _history[^1] = _history[^1] with { After = after };
        }

        return before == after ? null : new CircuitTransition(before, after, reason!.Value);
    }

    private (CircuitState After, CircuitReason? Reason, bool Held) Next(CircuitStep step)
    {
        switch (step.Kind, State)
        {
            case (StepKind.Failed, CircuitState.Closed) when !step.Trial && ConsecutiveFailures + 1 >= _settings.FailureThreshold:
                return step.MayOpen ? (CircuitState.Open, Words[step.Failure], false) : (CircuitState.Closed, null, true);
            case (StepKind.Failed, CircuitState.HalfOpen) when step.Trial:
                return (CircuitState.Open, CircuitReason.TrialFailed, false);
            case (StepKind.Succeeded, CircuitState.HalfOpen) when step.Trial && GoodTrials() + 1 >= _settings.SuccessThreshold:
                return (CircuitState.Closed, CircuitReason.TrialsSucceeded, false);
            case (StepKind.ProbesFailed, CircuitState.Closed or CircuitState.HalfOpen):
                return (CircuitState.Open, CircuitReason.ProbesFailed, false);
            case (StepKind.ProbesPassed, CircuitState.Open) when ByHand() is null && CauseOf(LastOpening()) != Cause.Answer:
                return (CircuitState.HalfOpen, CircuitReason.ProbesPassed, false);
            case (StepKind.OpenByHand, _):
                return (CircuitState.Open, CircuitReason.Operator, false);
            case (StepKind.CloseByHand, _):
                return (CircuitState.Closed, CircuitReason.Operator, false);
            default:
                return (State, null, false);
        }
    }

    /// <summary>What happened since the circuit was last closed, or its past forgiven by hand; all if it never was.</summary>
    private IEnumerable<Fact> SinceClosed() => _history.Skip(_history.FindLastIndex(f => f.Closed) + 1);

    /// <summary>The step by which an operator opened it. Nothing but his closing undoes it, so that any since then is in force.</summary>
    private Fact? ByHand() => SinceClosed().FirstOrDefault(f => f.Step.Kind == StepKind.OpenByHand);

    private Fact LastOpening() => SinceClosed().Last(f => f.Opened);

    private StepKind? LastWordOfProbes() => _history.Skip(_history.FindLastIndex(f => f.Opened))
        .LastOrDefault(f => f.Step.Kind is StepKind.ProbesFailed or StepKind.ProbesPassed or StepKind.ProbesEnded)?.Step.Kind;

    private int GoodTrials() => _history.Skip(_history.FindLastIndex(f => f.HalfOpened) + 1).Count(f => f.Counted);

    private static Cause CauseOf(Fact opening) => opening.Step switch
    {
        { Kind: StepKind.ProbesFailed } => Cause.Probes,
        { Failure: AttemptFailure.Status or AttemptFailure.Grpc } => Cause.Answer,
        _ => Cause.Transport,
    };

    private static TimeSpan RecoveryTime(CircuitSettings settings, int trips)
    {
        var cap = settings.RecoveryTimeout < TimeSpan.FromMinutes(5) ? TimeSpan.FromMinutes(5) : settings.RecoveryTimeout;
        var time = settings.RecoveryTimeout;
        for (var trip = 2; trip <= trips && time < cap; trip++)
            time += time;
        return time < cap ? time : cap;
    }

    private sealed record Fact(CircuitStep Step, DateTimeOffset At, CircuitSettings Settings, CircuitState Before, CircuitState After, bool Held)
    {
        public bool Opened => Before != CircuitState.Open && After == CircuitState.Open;

        public bool HalfOpened => Before != CircuitState.HalfOpen && After == CircuitState.HalfOpen;

        public bool Closed => (Before != CircuitState.Closed && After == CircuitState.Closed) || Step.Kind == StepKind.CloseByHand;

        public bool Counted => Step.Kind is StepKind.Failed or StepKind.Succeeded
            && Before == (Step.Trial ? CircuitState.HalfOpen : CircuitState.Closed);
    }
}
