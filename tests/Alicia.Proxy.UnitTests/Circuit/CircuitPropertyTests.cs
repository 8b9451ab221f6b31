using Alicia.Proxy.Circuit;

namespace Alicia.Proxy.UnitTests.Circuit;

public sealed class CircuitPropertyTests
{
    private const int Stories = 10_000;

    /// <summary>Every way in which a circuit can move. A random story that never went one of them would prove nothing about it.</summary>
    private static readonly CircuitTransition[] Ways =
    [
        .. new[]
        {
            CircuitReason.ConnectErrors, CircuitReason.Timeouts, CircuitReason.Resets, CircuitReason.ProtocolErrors, CircuitReason.FailureStatuses,
            CircuitReason.GrpcUnavailable, CircuitReason.ProbesFailed, CircuitReason.Operator,
        }.Select(reason => new CircuitTransition(CircuitState.Closed, CircuitState.Open, reason)),
        new(CircuitState.Open, CircuitState.HalfOpen, CircuitReason.ProbesPassed),
        new(CircuitState.Open, CircuitState.HalfOpen, CircuitReason.RecoveryTimeOver),
        new(CircuitState.Open, CircuitState.Closed, CircuitReason.Operator),
        new(CircuitState.HalfOpen, CircuitState.Open, CircuitReason.TrialFailed),
        new(CircuitState.HalfOpen, CircuitState.Open, CircuitReason.ProbesFailed),
        new(CircuitState.HalfOpen, CircuitState.Open, CircuitReason.Operator),
        new(CircuitState.HalfOpen, CircuitState.Closed, CircuitReason.TrialsSucceeded),
        new(CircuitState.HalfOpen, CircuitState.Closed, CircuitReason.Operator),
    ];

    /// <summary>Story N comes from seed N.</summary>
    [Fact]
    public void Over_random_stories_the_machine_does_what_the_model_does_and_goes_every_way_there_is()
    {
        var ways = new Dictionary<CircuitTransition, int>();
        for (var seed = 1; seed <= Stories; seed++)
        {
            var random = new Random(seed);
            var settings = CircuitStep.AnySettings(random);
            var story = CircuitStep.Story(random);
            var fault = CircuitStories.Fault(story, settings, settings, t => ways[t] = ways.GetValueOrDefault(t) + 1);
            if (fault is null)
                continue;
            var shortest = CircuitStories.Shrink(story, s => CircuitStories.Fault(s, settings, settings) is not null);
            Assert.Fail($"Seed {seed} with {settings}:\n{string.Join('\n', shortest)}\n{CircuitStories.Fault(shortest, settings, settings)}");
        }

        ways.Keys.Should().BeEquivalentTo(Ways);
        ways.Values.Should().OnlyContain(count => count >= 50, "each way is gone often enough to meet it in many conditions");
    }

    [Fact]
    public void A_machine_with_another_threshold_than_the_model_is_found_out_and_its_story_cut_down_to_what_it_takes()
    {
        var settings = new CircuitSettings(2, TimeSpan.FromSeconds(10), 1);
        var other = settings with { FailureThreshold = 3 };
        bool Faulty(IReadOnlyList<CircuitStep> story) => CircuitStories.Fault(story, settings, other) is not null;
        var story = Enumerable.Range(1, 100).Select(seed => CircuitStep.Story(new Random(seed))).First(s => s.Length > 20 && Faulty(s));
        CircuitStories.Shrink(story, Faulty).Select(s => (s.Kind, s.Trial)).Should().Equal((StepKind.Failed, false), (StepKind.Failed, false));
    }
}
