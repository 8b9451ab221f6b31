using Alicia.Proxy.Events;

namespace Alicia.Proxy.Circuit;

/// <summary>
/// Where gates report to: the event log and the program's log, whoever rebuilds rotations, and whoever probes at once. What must come in order is called under the gate's lock
/// and must not block.
/// </summary>
internal sealed partial class GateSurroundings(EventLog events, ILogger<GateSurroundings> logger)
{
    // Before None, which needs them: static fields are set in the order in which they stand.
    private static readonly int States = Enum.GetValues<CircuitState>().Length;
    private static readonly int Reasons = Enum.GetValues<CircuitReason>().Length;

    /// <summary>Hears of nothing.</summary>
    public static readonly GateSurroundings None = new(new EventLog(TimeProvider.System), Microsoft.Extensions.Logging.Abstractions.NullLogger<GateSurroundings>.Instance);

    private readonly long[] _moves = new long[States * States * Reasons];
    private long _held;

    /// <summary>Openings that a service's limit on ejections kept from happening, since start.</summary>
    public long Held => Volatile.Read(ref _held);

    /// <summary>Moves of circuits since start, those that have happened at least once.</summary>
    public IEnumerable<(CircuitTransition Transition, long Count)> Moves =>
        from i in Enumerable.Range(0, _moves.Length)
        let count = Volatile.Read(ref _moves[i])
        where count > 0
        select (new CircuitTransition((CircuitState)(i / Reasons / States), (CircuitState)(i / Reasons % States), (CircuitReason)(i % Reasons)), count);

    /// <summary>Called when an instance's standing has changed, with its service. Set once, before the first instance.</summary>
    public Action<string>? RotationChanged { get; set; }

    /// <summary>Called when a request met an instance that refused (true) or reset. Set once, before the first instance.</summary>
    public Action<InstanceGate, bool>? ProbeWanted { get; set; }

    /// <summary>Under the gate's lock: a circuit moved.</summary>
    public void Moved(InstanceGate gate, CircuitTransition transition)
    {
        Interlocked.Increment(ref _moves[((((int)transition.From * States) + (int)transition.To) * Reasons) + (int)transition.Reason]);
        events.Publish(EventKind.CircuitChanged, gate.Service, new Happening
        {
            InstanceId = gate.InstanceId,
            Epoch = gate.Live.Epoch,
            Previous = CircuitNames.Of(transition.From),
            Current = CircuitNames.Of(transition.To),
            Reason = CircuitNames.Of(transition.Reason),
        });
    }

    /// <summary>Under the gate's lock: the instance may get more or less than before.</summary>
    public void StandingChanged(InstanceGate gate) => RotationChanged?.Invoke(gate.Service);

    /// <summary>An attempt cast doubt on the instance.</summary>
    /// <param name="gate">The instance.</param>
    /// <param name="refused">True when it did not even take the connection.</param>
    public void Doubted(InstanceGate gate, bool refused) => ProbeWanted?.Invoke(gate, refused);

    /// <summary>A circuit would have opened but for the limit on ejections.</summary>
    public void OpeningHeld(InstanceGate gate)
    {
        if (Interlocked.Increment(ref _held) == 1)
            LogHeld(logger, gate.Service, gate.InstanceId);
    }

    /// <summary>Not under the lock: a log's sink may be slow.</summary>
    public void Log(InstanceGate gate, CircuitTransition transition)
    {
        var reading = gate.Read();
        if (transition.To == CircuitState.Open)
            LogOpened(logger, gate.InstanceId, gate.Service, CircuitNames.Of(transition.Reason), reading.ConsecutiveFailures, reading.RetryAt);
        else
            LogMoved(logger, gate.InstanceId, gate.Service, CircuitNames.Of(transition.To), CircuitNames.Of(transition.Reason));
    }

    [LoggerMessage(LogLevel.Warning, "Circuit of instance {Instance} of {Service} opened ({Reason}, {Failures} failures in a row), retry at {RetryAt}")]
    private static partial void LogOpened(ILogger logger, string instance, string service, string reason, int failures, DateTimeOffset? retryAt);

    [LoggerMessage(LogLevel.Information, "Circuit of instance {Instance} of {Service} is {State} ({Reason})")]
    private static partial void LogMoved(ILogger logger, string instance, string service, string state, string reason);

    [LoggerMessage(LogLevel.Warning, "Circuit of instance {Instance} of {Service} stays closed: MaxEjectionPercent allows no further one out. Said once, counted from now on")]
    private static partial void LogHeld(ILogger logger, string instance, string service);
}
