using Alicia.Proxy.Benchmarks.Simulation;

namespace Alicia.Proxy.UnitTests.Balancing;

/// <summary>
/// What the documentation claims of the algorithms, in the simulation that the committed table comes from: 100,000 requests of which the last 90,000 are measured, ten instances,
/// three seeds each. Nothing is left to chance between two runs.
/// </summary>
public sealed class SimulationTests
{
    public static TheoryData<int> Seeds => [1, 4711, 20260];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Beside_a_slow_instance_peak_ewma_has_the_shortest_tail_and_round_robin_the_longest(int seed)
    {
        var peak = Run("peak_ewma", Ailment.Slow, seed);
        var least = Run("least_connections", Ailment.Slow, seed);
        var two = Run("power_of_two_choices", Ailment.Slow, seed);
        var turns = Run("round_robin", Ailment.Slow, seed);

        peak.P99.Should().BeLessThan(0.9 * least.P99);
        least.P99.Should().BeLessThan(0.5 * turns.P99);
        two.P99.Should().BeLessThan(0.5 * turns.P99);
        peak.Shares[^1].Should().BeLessThan(0.5 * least.Shares[^1], "it knows that the instance is slow, not only that it is busy");
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void An_instance_that_fails_at_once_draws_requests_but_not_with_peak_ewma(int seed)
    {
        Run("least_connections", Ailment.Fails, seed).Failed.Should().BeGreaterThan(0.2, "it always looks idle");
        Run("round_robin", Ailment.Fails, seed).Failed.Should().BeApproximately(0.1, 0.001);
        Run("peak_ewma", Ailment.Fails, seed).Failed.Should().BeLessThan(0.01);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Among_equals_nobody_is_favoured(int seed)
    {
        foreach (var algorithm in (string[])["round_robin", "least_connections", "weighted_round_robin", "random", "power_of_two_choices", "peak_ewma"])
        {
            var shares = Run(algorithm, Ailment.None, seed).Shares;
            shares.Should().OnlyContain(s => s > 0.085 && s < 0.115, algorithm);
        }

        Run("consistent_hash", Ailment.None, seed).Shares.Should().OnlyContain(s => s > 0.08 && s < 0.12);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Bounded_load_keeps_a_slow_owner_from_holding_its_keys(int seed) =>
        Run("consistent_hash", Ailment.Slow, seed).P99.Should().BeLessThan(0.5 * Run("round_robin", Ailment.Slow, seed).P99);

    [Fact]
    public void The_same_seed_gives_the_same_result() =>
        Run("peak_ewma", Ailment.Pauses, 7).Should().BeEquivalentTo(Run("peak_ewma", Ailment.Pauses, 7));

    private static SimulationResult Run(string algorithm, Ailment ailment, int seed) => new QueueSimulation(algorithm, ailment, seed).Run(100_000);
}
