using System.Globalization;
using Alicia.Proxy.Circuit;

namespace Alicia.Proxy.UnitTests.Circuit;

/// <summary>What may happen to a circuit.</summary>
internal enum StepKind
{
    Failed,
    Succeeded,
    ProbesFailed,
    ProbesPassed,
    ProbesEnded,
    Tick,
    OpenByHand,
    CloseByHand,
    Configure,
}

/// <summary>
/// One step of a random story of a circuit. <paramref name="Wait"/> passes before it, and may be negative, as callers read the clock before they
/// get their turn. With <paramref name="Aim"/> it happens that many ticks after the time to retry instead, if there is one.
/// </summary>
internal sealed record CircuitStep(
    StepKind Kind, AttemptFailure Failure, bool Trial, bool MayOpen, TimeSpan Wait, int? Aim, CircuitSettings Settings)
{
    private static readonly StepKind[] Often =
        [StepKind.Failed, StepKind.Succeeded, StepKind.ProbesFailed, StepKind.ProbesPassed, StepKind.Tick, StepKind.Tick, StepKind.ProbesEnded];

    private static readonly StepKind[] Seldom = [StepKind.OpenByHand, StepKind.CloseByHand, StepKind.Configure];

    public static CircuitSettings AnySettings(Random random) =>
        new(random.Next(1, 5), TimeSpan.FromSeconds(random.Next(4) switch { 0 => 0.1, 1 => 10, 2 => 60, _ => 400 }), random.Next(1, 4));

    /// <summary>Stories of 1 to 60 steps. Half of the steps are failures, as else few circuits would ever open.</summary>
    public static CircuitStep[] Story(Random random) => [.. Enumerable.Range(0, random.Next(1, 61)).Select(_ => Any(random))];

    public override string ToString() => Kind switch
    {
        StepKind.Failed => string.Create(CultureInfo.InvariantCulture, $"{When} Failed({Failure}, trial: {Trial}, mayOpen: {MayOpen})"),
        StepKind.Succeeded => $"{When} Succeeded(trial: {Trial})",
        StepKind.Configure => $"{When} Configure({Settings})",
        _ => $"{When} {Kind}",
    };

    private string When => Aim is { } ticks ? $"[retry{ticks:+0;-0;+0} ticks or +{Wait}]" : $"[+{Wait}]";

    private static CircuitStep Any(Random random) => new(
        random.Next(20) switch
        {
            < 9 => StepKind.Failed,
            < 19 => Often[random.Next(Often.Length)],
            _ => Seldom[random.Next(Seldom.Length)],
        },
        (AttemptFailure)random.Next(Enum.GetValues<AttemptFailure>().Length),
        Trial: random.Next(3) == 0,
        MayOpen: random.Next(4) != 0,
        TimeSpan.FromSeconds(random.Next(8) switch { 0 => 1, 1 => 10, 2 => 60, 3 => 500, 4 => -0.5, _ => 0 }),
        Aim: random.Next(4) == 0 ? random.Next(-1, 2) : null,
        AnySettings(random));
}
