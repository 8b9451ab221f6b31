using System.Diagnostics;
using Alicia.Proxy.IntegrationTests.Guarding;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>Trying an instance again costs no caller an answer, as long as there are requests that can be asked again elsewhere.</summary>
public sealed class TrialTests(GuardedProxy guarded, ITestOutputHelper output) : IClassFixture<GuardedProxy>
{
    private const int Recovery = 1;

    private static object Settings(int attempts) => new
    {
        health_check = GuardedProxy.RareProbes,
        circuit_breaker = new { recovery_timeout = Recovery, success_threshold = 1 },
        retry = new { attempts, budget_percent = 100, reserve = 1000 },
    };

    /// <summary>The instance goes on failing over several trials. GETs are the trials, and are answered by the other instance; POSTs are not tried on it at all.</summary>
    [Fact]
    public async Task A_trial_that_fails_is_answered_by_another_instance_and_POSTs_are_no_trials()
    {
        var service = await guarded.ServiceAsync(2, Settings(attempts: 1));
        await TripAsync(service);
        var before = await guarded.Backends[0].StatsAsync();
        var (gets, posts) = (new List<int>(), new List<int>());

        // Trials come a second apart, then two: until the third has come.
        await Eventually.Until("three trials have come", async () =>
        {
            gets.Add(await StatusAsync(HttpMethod.Get, service));
            posts.Add(await StatusAsync(HttpMethod.Post, service));
            return (await guarded.Backends[0].StatsAsync()).Requests >= before.Requests + 3;
        });

        var after = await guarded.Backends[0].StatsAsync();
        output.WriteLine($"{gets.Count} GETs and {posts.Count} POSTs answered, {after.Requests - before.Requests} trials");
        gets.Should().AllBeEquivalentTo(200);
        posts.Should().AllBeEquivalentTo(200);
    }

    [Fact]
    public async Task When_only_POSTs_come_one_of_them_is_the_trial_after_a_second()
    {
        var service = await guarded.ServiceAsync(2, Settings(attempts: 1));
        await TripAsync(service);
        await guarded.Backends[0].ModeAsync();
        await guarded.UntilOnTrialAsync(service, "a");
        var half = Stopwatch.GetTimestamp();
        var before = (await guarded.Backends[0].StatsAsync()).Requests;

        await Eventually.Until("a POST has been the trial", async () =>
        {
            (await StatusAsync(HttpMethod.Post, service)).Should().Be(200);
            return (await guarded.Backends[0].StatsAsync()).Requests > before;
        });

        var waited = Stopwatch.GetElapsedTime(half);
        output.WriteLine($"after {waited.TotalSeconds:0.00} s");
        waited.Should().BeGreaterThan(TimeSpan.FromSeconds(0.8), "a request that could be asked again was preferred for a second");
        (await guarded.Registry.InstanceAsync(service, "a")).Circuit().Should().Be("closed");
    }

    [Fact]
    public async Task Without_retries_the_next_request_is_the_trial()
    {
        var service = await guarded.ServiceAsync(2, Settings(attempts: 0));
        await TripAsync(service);
        await guarded.Backends[0].ModeAsync();
        await guarded.UntilOnTrialAsync(service, "a");
        var before = (await guarded.Backends[0].StatsAsync()).Requests;

        (await StatusAsync(HttpMethod.Post, service)).Should().Be(200);

        (await guarded.Backends[0].StatsAsync()).Requests.Should().Be(before + 1);
    }

    /// <summary>The first instance fails everything from here on; GETs that meet it are answered by the other where retries are on.</summary>
    private async Task TripAsync(string service)
    {
        await guarded.Backends[0].ModeAsync(new BackendMode(Status: 503));
        await Eventually.Until("the circuit is open", async () =>
        {
            await StatusAsync(HttpMethod.Get, service);
            return (await guarded.Registry.InstanceAsync(service, "a")).Circuit() == "open";
        });
    }

    private async Task<int> StatusAsync(HttpMethod method, string service)
    {
        using var request = new HttpRequestMessage(method, $"/{service}/echo") { Content = method == HttpMethod.Post ? new StringContent("a body") : null };
        using var answer = await guarded.Http.SendAsync(request);
        return (int)answer.StatusCode;
    }
}
