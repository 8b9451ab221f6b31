using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.TestKit;

/// <summary>The scriptable upstream's counters are exact, its modes hold, and it ends when its starter does.</summary>
public sealed class BackendControlTests : IAsyncLifetime
{
    private Backend _backend = null!;

    public async Task InitializeAsync() => _backend = await Backend.StartAsync("A");

    public async Task DisposeAsync() => await _backend.DisposeAsync();

    [Fact]
    public async Task Held_requests_are_counted_and_go_oldest_first_when_released()
    {
        var held = new List<Task<HttpResponseMessage>>();
        for (var i = 1; i <= 5; i++)
        {
            held.Add(_backend.Http.GetAsync("/hold/key"));
            await _backend.UntilHeldAsync("key", i);
        }
        var full = await _backend.StatsAsync();

        (await _backend.ReleaseAsync("other")).Should().Be(0);
        (await _backend.ReleaseAsync("key", 2)).Should().Be(2);
        await Task.WhenAll(held[0], held[1]).WaitAsync(Deadlines.Wait);
        var between = await _backend.StatsAsync();
        held.Skip(2).Should().OnlyContain(request => !request.IsCompleted);
        (await _backend.ReleaseAsync("key")).Should().Be(3);
        await Task.WhenAll(held).WaitAsync(Deadlines.Wait);
        var empty = await _backend.StatsAsync();

        (full.InFlight, full.MaxInFlight, full.Requests).Should().Be((5, 5, 5));
        (between.InFlight, between.Held["key"]).Should().Be((3, 3));
        (empty.InFlight, empty.MaxInFlight, empty.Aborted).Should().Be((0, 5, 0));
        empty.Held.Should().BeEmpty();
        empty.Paths.Should().Equal(new Dictionary<string, long> { ["/hold/key"] = 5 });
        foreach (var answer in held)
            (await answer).StatusCode.Should().Be(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_held_request_whose_client_went_is_no_longer_held()
    {
        using var patience = new CancellationTokenSource();
        var held = _backend.Http.GetAsync("/hold/key", patience.Token);
        await _backend.UntilHeldAsync("key", 1);

        await patience.CancelAsync();

        var stats = await _backend.UntilHeldAsync("key", 0);
        await ((Func<Task>)(() => held)).Should().ThrowAsync<OperationCanceledException>();
        (await _backend.UntilStatsAsync("aborted", s => s.InFlight == 0)).Aborted.Should().Be(1);
        (await _backend.ReleaseAsync("key")).Should().Be(0);
    }

    [Theory]
    [InlineData("/echo")]
    [InlineData("/status/204")]
    [InlineData("/bytes?n=100000")]
    [InlineData("/bytes?n=1000&chunked=1")]
    [InlineData("/stream?chunks=2&size=10")]
    public async Task A_client_that_sends_the_next_request_on_the_last_byte_never_looks_like_two(string target)
    {
        const int Workers = 3, Requests = 200;

        await Task.WhenAll(Enumerable.Range(0, Workers).Select(async _ =>
        {
            for (var i = 0; i < Requests; i++)
            {
                using var answer = await _backend.Http.GetAsync(target);
                answer.IsSuccessStatusCode.Should().BeTrue();
            }
        }));

        var stats = await _backend.StatsAsync();
        stats.Requests.Should().Be(Workers * Requests);
        stats.MaxInFlight.Should().BeInRange(1, Workers);
        (stats.InFlight, stats.Aborted).Should().Be((0, 0));
        stats.ConnectionsTotal.Should().BeInRange(1, Workers);
    }

    [Fact]
    public async Task Modes_apply_to_every_data_request_until_they_are_taken_back()
    {
        await _backend.ModeAsync(new BackendMode(Status: 503));
        using var failed = await _backend.Http.GetAsync("/echo");
        using var probe = await _backend.Http.GetAsync("/health");
        await _backend.ModeAsync();
        using var again = await _backend.Http.GetAsync("/echo");

        failed.StatusCode.Should().Be(HttpStatusCode.ServiceUnavailable);
        failed.Headers.GetValues("X-Backend").Should().Equal("A");
        probe.StatusCode.Should().Be(HttpStatusCode.OK);
        again.StatusCode.Should().Be(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_hanging_mode_holds_requests_and_a_delaying_one_slows_them()
    {
        await _backend.ModeAsync(new BackendMode(Hang: true));
        using var patience = new CancellationTokenSource();
        var hanging = _backend.Http.GetAsync("/echo", patience.Token);
        await _backend.UntilStatsAsync("one in flight", stats => stats.InFlight == 1);
        await patience.CancelAsync();
        await ((Func<Task>)(() => hanging)).Should().ThrowAsync<OperationCanceledException>();

        await _backend.ModeAsync(new BackendMode(DelayMs: 150));
        var start = System.Diagnostics.Stopwatch.GetTimestamp();
        using var slow = await _backend.Http.GetAsync("/status/200");
        System.Diagnostics.Stopwatch.GetElapsedTime(start).Should().BeGreaterThan(TimeSpan.FromMilliseconds(140));
        slow.StatusCode.Should().Be(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Probes_have_a_mode_and_a_count_of_their_own()
    {
        using var healthy = await _backend.Http.GetAsync("/health");
        await _backend.ModeAsync(new BackendMode(Health: new BackendHealthMode(Status: 500, Body: "ill")));
        using var ill = await _backend.Http.GetAsync("/health");
        using var data = await _backend.Http.GetAsync("/status/200");

        healthy.StatusCode.Should().Be(HttpStatusCode.OK);
        ill.StatusCode.Should().Be(HttpStatusCode.InternalServerError);
        (await ill.Content.ReadAsStringAsync()).Should().Be("ill");
        data.StatusCode.Should().Be(HttpStatusCode.OK);
        var stats = await _backend.StatsAsync();
        (stats.HealthProbes, stats.Requests).Should().Be((2, 1));
    }

    [Fact]
    public async Task A_mode_with_an_unknown_field_is_refused()
    {
        using var answer = await _backend.Http.PostAsync("/control/mode", new StringContent("""{"statsu": 503}"""));

        answer.StatusCode.Should().Be(HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Reset_forgets_everything()
    {
        using var counted = await _backend.Http.GetAsync("/echo");
        await _backend.ModeAsync(new BackendMode(Status: 503));
        var held = RawHttp.SendAsync(_backend.Address, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        (await held).Status.Should().Be(503);

        await _backend.ResetAsync();

        var stats = await _backend.StatsAsync();
        (stats.Requests, stats.InFlight, stats.MaxInFlight, stats.Aborted, stats.HealthProbes).Should().Be((0, 0, 0, 0, 0));
        stats.Paths.Should().BeEmpty();
        using var after = await _backend.Http.GetAsync("/echo");
        after.StatusCode.Should().Be(HttpStatusCode.OK);
    }

    [Fact]
    public async Task It_ends_on_sigterm_even_with_a_request_in_flight()
    {
        var hanging = _backend.Http.GetAsync("/hang");
        await _backend.UntilStatsAsync("one in flight", stats => stats.InFlight == 1);

        _backend.Process.Terminate();

        (await _backend.Process.WaitForExitAsync()).Should().BeOneOf(0, 143);
        await ((Func<Task>)(() => hanging)).Should().ThrowAsync<HttpRequestException>();
    }

    [Fact]
    public async Task It_ends_when_its_input_ends()
    {
        _backend.Process.CloseInput();

        (await _backend.Process.WaitForExitAsync()).Should().Be(0);
    }

    [Fact]
    public async Task A_command_line_that_is_not_understood_ends_with_2()
    {
        await using var process = ChildProcess.Start(Programs.Dotnet, [Programs.Backend, "--nmae", "A"]);

        (await process.WaitForExitAsync()).Should().Be(2);
        process.Errors.Should().ContainSingle(line => line.StartsWith("usage:", StringComparison.Ordinal));
    }
}
