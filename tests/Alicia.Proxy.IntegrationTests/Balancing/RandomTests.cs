using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Balancing;

/// <summary>By chance, with the odds of the weights.</summary>
public sealed class RandomTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    /// <summary>Chi-square with three degrees of freedom exceeds this with a probability below 1e-10: a fair proxy never fails here.</summary>
    private const double Bound = 50;

    [Theory]
    [InlineData(1, 1, 1, 1)]
    [InlineData(1, 2, 3, 4)]
    public async Task Shares_follow_the_weights_and_the_order_is_no_rotation(params int[] weights)
    {
        const int Requests = 4000;
        var service = await running.ServiceAsync(4, new { algorithm = "random" }, i => new { weight = weights[i] });

        var report = await Load.RunAsync(running.Proxy.Address, clients: 8, Requests, _ => $"/{service}/status/204");

        report.Failures.Should().BeEmpty();
        report.Answered.Should().Be(Requests);
        var chiSquare = weights.Select((weight, i) =>
        {
            var expected = (double)Requests * weight / weights.Sum();
            return Math.Pow(report.ByBackend.GetValueOrDefault(running.Backends[i].Name) - expected, 2) / expected;
        }).Sum();
        chiSquare.Should().BeLessThan(Bound, Shares.Text(report.ByBackend));
        // A rotation over equal weights never has equal neighbours; chance leaves them out of a hundred with a probability of 0.75^99, below 1e-12.
        var order = new List<string>();
        for (var i = 0; i < 100; i++)
            order.Add(await running.BackendOfAsync(service));
        order.Zip(order.Skip(1)).Should().Contain(pair => pair.First == pair.Second);
    }
}
