using System.Diagnostics;
using System.Globalization;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>Requests that find every instance full wait in line for a slot, if the service has a line; whoever is not served in time is told so and was never sent.</summary>
public sealed class QueueTests(Harness.RunningProxy running, ITestOutputHelper output) : IClassFixture<Harness.RunningProxy>
{
    [Fact]
    public async Task Without_a_queue_a_request_that_finds_no_slot_is_refused_at_once()
    {
        var service = await ServiceAsync(null);
        var first = running.Http.GetAsync($"/{service}/hold/x");
        await running.Backends[0].UntilHeldAsync("x", 1);

        using var second = await running.Http.GetAsync($"/{service}/status/204");

        ShouldBeFull(second);
        await running.Backends[0].ReleaseAsync("x");
        (await first.StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task They_are_served_in_their_order_as_slots_come_free()
    {
        const int Waiting = 8;
        var service = await ServiceAsync(new { length = 20, timeout = 20 });
        var first = running.Http.GetAsync($"/{service}/hold/first");
        await running.Backends[0].UntilHeldAsync("first", 1);
        var line = new List<Task<HttpResponseMessage>>();
        for (var i = 0; i < Waiting; i++)
        {
            line.Add(running.Http.SendAsync(Request(i % 2 == 0 ? HttpMethod.Get : HttpMethod.Post, $"/{service}/hold/{i}")));
            await UntilWaitingAsync(service, i + 1);
        }

        await running.Backends[0].ReleaseAsync("first");
        (await first.StatusAsync()).Should().Be(200);
        for (var i = 0; i < Waiting; i++)
        {
            await running.Backends[0].UntilHeldAsync($"{i}", 1);
            var stats = await running.Backends[0].StatsAsync();
            (stats.Held.Values.Sum(), stats.InFlight).Should().Be((1, 1), "there is one slot");
            await UntilWaitingAsync(service, Waiting - i - 1);
            await running.Backends[0].ReleaseAsync($"{i}");
            (await line[i].StatusAsync()).Should().Be(200);
        }
    }

    [Fact]
    public async Task One_that_waits_too_long_is_told_so_and_never_sent()
    {
        var service = await ServiceAsync(new { length = 5, timeout = 0.4 });
        var first = running.Http.GetAsync($"/{service}/hold/x");
        await running.Backends[0].UntilHeldAsync("x", 1);

        var start = Stopwatch.GetTimestamp();
        using var late = await running.Http.GetAsync($"/{service}/late");
        var waited = Stopwatch.GetElapsedTime(start);

        ShouldBeFull(late);
        waited.Should().BeGreaterThan(TimeSpan.FromSeconds(0.35));
        await UntilWaitingAsync(service, 0);
        await running.Backends[0].ReleaseAsync("x");
        (await first.StatusAsync()).Should().Be(200);
        (await running.Http.GetAsync($"/{service}/after").StatusAsync()).Should().Be(200);
        (await running.Backends[0].StatsAsync()).Paths.Should().ContainKey("/after").And.NotContainKey("/late");
    }

    [Fact]
    public async Task A_full_queue_refuses_at_once()
    {
        var service = await ServiceAsync(new { length = 2, timeout = 20 });
        var held = new List<Task<HttpResponseMessage>> { running.Http.GetAsync($"/{service}/hold/x") };
        await running.Backends[0].UntilHeldAsync("x", 1);
        for (var i = 0; i < 2; i++)
        {
            held.Add(running.Http.GetAsync($"/{service}/status/200"));
            await UntilWaitingAsync(service, i + 1);
        }

        using var refused = await running.Http.GetAsync($"/{service}/refused");

        ShouldBeFull(refused);
        await running.Backends[0].ReleaseAsync("x");
        foreach (var request in held)
            (await request.StatusAsync()).Should().Be(200);
        (await running.Backends[0].StatsAsync()).Paths.Should().NotContainKey("/refused");
    }

    [Fact]
    public async Task One_whose_caller_leaves_is_never_sent_and_the_next_moves_up()
    {
        var service = await ServiceAsync(new { length = 5, timeout = 20 });
        var first = running.Http.GetAsync($"/{service}/hold/x");
        await running.Backends[0].UntilHeldAsync("x", 1);
        using var leave = new CancellationTokenSource();
        var leaver = running.Http.GetAsync($"/{service}/left", leave.Token);
        await UntilWaitingAsync(service, 1);
        var next = running.Http.GetAsync($"/{service}/next");
        await UntilWaitingAsync(service, 2);

        await leave.CancelAsync();
        await leaver.Invoking(l => l).Should().ThrowAsync<OperationCanceledException>();
        await UntilWaitingAsync(service, 1);
        await running.Backends[0].ReleaseAsync("x");

        (await next.StatusAsync()).Should().Be(200);
        (await first.StatusAsync()).Should().Be(200);
        (await running.Backends[0].StatsAsync()).Paths.Should().ContainKey("/next").And.NotContainKey("/left");
    }

    /// <summary>A request that has a time of its own does not wait beyond it.</summary>
    [Fact]
    public async Task One_whose_own_time_ends_first_is_not_sent_either()
    {
        var service = await ServiceAsync(new { length = 5, timeout = 20 });
        var first = running.Http.GetAsync($"/{service}/hold/x");
        await running.Backends[0].UntilHeldAsync("x", 1);
        await running.Registry.PatchAsync($"/services/{service}", new { timeouts = new { overall = 0.5 } }).DocumentAsync(200);

        var start = Stopwatch.GetTimestamp();
        using var late = await running.Http.GetAsync($"/{service}/late");

        ((int)late.StatusCode).Should().BeOneOf(503, 504);
        Stopwatch.GetElapsedTime(start).Should().BeLessThan(TimeSpan.FromSeconds(10));
        await running.Backends[0].ReleaseAsync("x");
        (await first.StatusAsync()).Should().Be(200);
        (await running.Backends[0].StatsAsync()).Paths.Should().NotContainKey("/late");
    }

    [Fact]
    public async Task A_newcomer_and_a_raised_cap_take_from_the_line()
    {
        var service = await ServiceAsync(new { length = 10, timeout = 20 });
        var all = new List<Task<HttpResponseMessage>> { running.Http.GetAsync($"/{service}/hold/x") };
        await running.Backends[0].UntilHeldAsync("x", 1);
        for (var i = 0; i < 3; i++)
        {
            all.Add(running.Http.GetAsync($"/{service}/hold/x"));
            await UntilWaitingAsync(service, i + 1);
        }

        await running.Registry.RegisterActiveAsync(service, running.Backends[1], extra: new { max_connections = 1 });
        await running.Backends[1].UntilHeldAsync("x", 1);
        await running.Registry.PatchInstanceAsync(service, "a", new { max_connections = 3 }).DocumentAsync(200);
        await running.Backends[0].UntilHeldAsync("x", 3);

        await UntilWaitingAsync(service, 0);
        await running.Backends[0].ReleaseAsync("x");
        await running.Backends[1].ReleaseAsync("x");
        foreach (var request in all)
            (await request.StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task Those_that_wait_when_the_last_instance_leaves_are_told_and_none_hangs()
    {
        var service = await ServiceAsync(new { length = 10, timeout = 20 });
        var first = running.Http.GetAsync($"/{service}/hold/x");
        await running.Backends[0].UntilHeldAsync("x", 1);
        var waiting = running.Http.GetAsync($"/{service}/waits");
        await UntilWaitingAsync(service, 1);

        await running.Registry.DeleteInstanceAsync(service, "a").DocumentAsync(202);

        (await waiting.StatusAsync()).Should().Be(503);
        await running.Backends[0].ReleaseAsync("x");
        (await first.StatusAsync()).Should().Be(200, "what is in flight finishes");
        (await running.Backends[0].StatsAsync()).Paths.Should().NotContainKey("/waits");
    }

    /// <summary>Many more callers than slots, for a while: everybody is served, nobody passes the cap.</summary>
    [Fact]
    public async Task Many_more_callers_than_slots_are_all_served_and_the_cap_holds()
    {
        const int Requests = 3000;
        var service = await running.ServiceAsync(2, new { queue = new { length = 200, timeout = 30 } }, _ => new { max_connections = 3 });

        var report = await Load.RunAsync(running.Proxy.Address, clients: 64, Requests, n => $"/{service}/{(n % 3 == 0 ? "delay?ms=2" : "status/204")}");

        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{report.Answered} of {Requests} answered"));
        report.Failures.Should().BeEmpty();
        report.Answered.Should().Be(Requests);
        foreach (var backend in running.Backends.Take(2))
            (await backend.StatsAsync()).MaxInFlight.Should().Be(3);
        await UntilWaitingAsync(service, 0);
    }

    /// <summary>One instance with one slot.</summary>
    private Task<string> ServiceAsync(object? queue) =>
        running.ServiceAsync(1, queue is null ? new { } : new { queue }, _ => new { max_connections = 1 });

    private static HttpRequestMessage Request(HttpMethod method, string target) =>
        new(method, target) { Content = method == HttpMethod.Post ? new StringContent("a body") : null };

    private static void ShouldBeFull(HttpResponseMessage answer)
    {
        ((int)answer.StatusCode).Should().Be(503);
        ProxyStatus.ErrorOf(answer).Should().Be("connection_limit_reached");
        answer.Headers.RetryAfter!.Delta.Should().BePositive();
    }

    private Task UntilWaitingAsync(string service, int count) =>
        running.Registry.UntilAsync($"{count} wait", $"/stats/{service}", s => s.GetProperty("queue").GetProperty("depth").GetInt64() == count);
}
