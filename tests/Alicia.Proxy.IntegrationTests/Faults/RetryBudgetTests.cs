using System.Diagnostics;
using System.Globalization;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>Retries help where a few requests fail and never make an outage worse: they are a bounded share of the requests.</summary>
public sealed class RetryBudgetTests(RunningProxy running, ITestOutputHelper output) : IClassFixture<RunningProxy>
{
    /// <summary>Every instance fails, in the ways in which GETs are retried.</summary>
    [Theory]
    [InlineData("status/503", 503)]
    [InlineData("reset", 502)]
    public async Task With_all_instances_failing_they_get_at_most_a_fifth_more_than_was_asked_and_the_reserve(string fault, int status)
    {
        const int Requests = 1500, Reserve = 10;
        var service = await running.ServiceAsync(3, new { retry = new { attempts = 3, reserve = Reserve } });

        var start = Stopwatch.GetTimestamp();
        var report = await Load.RunAsync(running.Proxy.Address, clients: 8, Requests, _ => $"/{service}/{fault}");
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;

        var seen = await running.SeenAsync();
        var allowed = (Requests * 1.2) + (Reserve * (seconds + 1));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{fault}: {seen} attempts for {Requests} requests in {seconds:0.0} s; at most {allowed:0} are allowed"));
        seen.Should().BeInRange((long)(Requests * 1.15), (long)allowed, "the budget is used and kept");
        report.ByStatus.Should().Equal(new Dictionary<int, int> { [status] = Requests });
    }

    [Fact]
    public async Task Without_budget_and_reserve_every_request_is_sent_once_and_gets_the_instances_own_answer()
    {
        var service = await running.ServiceAsync(3, new { retry = new { attempts = 3, budget_percent = 0, reserve = 0 } });

        for (var i = 0; i < 30; i++)
        {
            using var answer = await running.Http.GetAsync($"/{service}/status/503?h=X-Own:yes");
            ((int)answer.StatusCode).Should().Be(503);
            answer.Headers.GetValues("X-Backend").Should().ContainSingle();
            answer.Headers.Contains("Proxy-Status").Should().BeFalse("it is the instance's own answer");
        }

        (await running.SeenAsync()).Should().Be(30);
    }

    [Fact]
    public async Task A_POST_is_sent_once_and_with_an_idempotency_key_as_a_GET()
    {
        var service = await running.ServiceAsync(2, new { retry = new { attempts = 1, budget_percent = 100, reserve = 1000 } });
        await running.Backends[0].ModeAsync(new BackendMode(Status: 503));

        var statuses = new List<int>();
        for (var i = 0; i < 10; i++)
            statuses.Add(await PostAsync(service, key: null));
        statuses.Count(s => s == 503).Should().Be(5);
        (await running.SeenAsync()).Should().Be(10);

        for (var i = 0; i < 10; i++)
            (await PostAsync(service, $"key-{i}")).Should().Be(200);
        (await running.SeenAsync()).Should().BeInRange(21, 30, "those that met the failing instance were sent once more");
    }

    private async Task<int> PostAsync(string service, string? key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/{service}/sink") { Content = new StringContent("a body") };
        if (key is not null)
            request.Headers.Add("Idempotency-Key", key);
        using var answer = await running.Http.SendAsync(request);
        if (answer.IsSuccessStatusCode)
            (await answer.Content.ReadAsStringAsync()).Should().Contain("\"body_length\":6", "the body is sent whole again");
        return (int)answer.StatusCode;
    }
}
