using Alicia.Proxy.Circuit;

namespace Alicia.Proxy.UnitTests.Circuit;

/// <summary>Runs a story through the machine and through the model side by side, says where they part, and cuts such a story down to what it takes.</summary>
internal static class CircuitStories
{
    /// <summary>What is wrong after the first step at which something is; null if nothing ever is.</summary>
    public static string? Fault(
        IReadOnlyList<CircuitStep> story, CircuitSettings machineSettings, CircuitSettings modelSettings, Action<CircuitTransition>? moved = null)
    {
        var machine = new CircuitMachine(machineSettings);
        var model = new CircuitModel(modelSettings);
        var now = Circuits.At(0);
        for (var i = 0; i < story.Count; i++)
        {
            var step = story[i];
            now = step.Aim is { } ticks && model.RetryAt is { } due ? due.AddTicks(ticks) : now + step.Wait;
            var before = machine.State;
            var transition = Apply(machine, step, now);
            var fault = Difference(transition, model.Apply(step, now), machine, model) ?? BrokenInvariant(machine, before, transition);
            if (fault is not null)
                return $"step {i + 1}, {step}: {fault}";
            if (transition is { } t)
                moved?.Invoke(t);
        }

        return null;
    }

    /// <summary>Leaves out one step after another for as long as the story stays faulty; each round leaves out at least one, so it ends.</summary>
    public static List<CircuitStep> Shrink(IReadOnlyList<CircuitStep> story, Func<IReadOnlyList<CircuitStep>, bool> faulty)
    {
        var shortest = story.ToList();
        for (var i = 0; i < shortest.Count;)
        {
            List<CircuitStep> shorter = [.. shortest[..i], .. shortest[(i + 1)..]];
            if (faulty(shorter))
                (shortest, i) = (shorter, 0);
            else
                i++;
        }

        return shortest;
    }

    private static CircuitTransition? Apply(CircuitMachine machine, CircuitStep step, DateTimeOffset now)
    {
        switch (step.Kind)
        {
            case StepKind.Failed: return machine.Failed(step.Failure, step.Trial, step.MayOpen, now);
            case StepKind.Succeeded: return machine.Succeeded(step.Trial, now);
            case StepKind.ProbesFailed: return machine.ProbesFailed(now);
            case StepKind.ProbesPassed: return machine.ProbesPassed(now);
            case StepKind.ProbesEnded: return machine.ProbesEnded(now);
            case StepKind.Tick: return machine.Tick(now);
            case StepKind.OpenByHand: return machine.OpenByHand(now);
            case StepKind.CloseByHand: return machine.CloseByHand(now);
            case StepKind.Configure:
                machine.Settings = step.Settings;
                return null;
            default: throw new ArgumentOutOfRangeException(nameof(step));
        }
    }

    private static string? Difference(CircuitTransition? got, CircuitTransition? expected, CircuitMachine machine, CircuitModel model)
    {
        var was = new Appearance(got, machine.State, machine.ConsecutiveFailures, machine.Reason, machine.OpenedAt, machine.RetryAt, machine.Held);
        var should = new Appearance(expected, model.State, model.ConsecutiveFailures, model.Reason, model.OpenedAt, model.RetryAt, model.Held);
        return was == should ? null : $"the machine says\n  {was}\nand the model\n  {should}";
    }

    private static string? BrokenInvariant(CircuitMachine machine, CircuitState before, CircuitTransition? transition)
    {
        var closed = machine.State == CircuitState.Closed;
        return (machine.State != before) != transition.HasValue ? "a transition is returned exactly when the state changes"
            : transition is { } t && (t.From != before || t.To != machine.State) ? "a transition names the states that it lies between"
            : before == CircuitState.Closed && machine.State == CircuitState.HalfOpen ? "half-open can be reached from open only"
            : closed != machine.OpenedAt is null ? "there is a time of opening exactly while it is not closed"
            : closed != machine.Reason is null ? "there is a reason exactly while it is not closed"
            : machine.RetryAt is not null && machine.State != CircuitState.Open ? "only an open one has a time to retry"
            : machine.RetryAt is not null && machine.Reason == CircuitReason.Operator ? "one opened by hand has no time to retry"
            : null;
    }

    private sealed record Appearance(
        CircuitTransition? Transition, CircuitState State, int ConsecutiveFailures, CircuitReason? Reason, DateTimeOffset? OpenedAt, DateTimeOffset? RetryAt, long Held);
}
