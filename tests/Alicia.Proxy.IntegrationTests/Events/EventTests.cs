using System.Net;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Events;

/// <summary>What who follows <c>/events</c> is told, and how it goes on after a reconnect.</summary>
public sealed class EventTests : IAsyncLifetime
{
    private ProxyProcess _proxy = null!;

    private HttpClient Api => _proxy.Api;

    private RegistryApi Registry => _proxy.Registry;

    public async Task InitializeAsync() => _proxy = await ProxyProcess.StartAsync(new ProxyOptions
    {
        Arguments = ["--Registry:Store=memory", "--Defaults:HealthCheck:Enabled=false"],
    });

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    [Fact]
    public async Task The_life_of_a_service_and_its_instance_is_told_as_it_happens()
    {
        await using var reader = await EventReader.OpenAsync(Api);
        var start = DateTimeOffset.UtcNow;

        await DoAsync(Registry.RegisterAsync("tts", "127.0.0.1", 9, "a"));
        (await reader.TakeAsync(2)).Select(e => e.Line()).Should().Equal("service_added tts", "instance_registered tts/a -> active");

        await DoAsync(Registry.PatchInstanceAsync("tts", "a", new { state = "draining" }));
        var draining = (await reader.TakeAsync(1))[0];
        draining.Line().Should().Be("instance_state_changed tts/a active -> draining: operator");
        draining.EnumerateObject().Select(p => p.Name).Should().BeEquivalentTo(
            "id", "timestamp", "type", "service_name", "instance_id", "previous", "current", "reason");
        draining.GetProperty("timestamp").GetDateTimeOffset().Should().BeCloseTo(start, TimeSpan.FromMinutes(1));

        await DoAsync(Registry.PatchInstanceAsync("tts", "a", new { weight = 5 }));
        await DoAsync(Registry.PatchServiceAsync("tts", new { algorithm = "random" }));
        await DoAsync(Registry.DeleteInstanceAsync("tts", "a"));
        await DoAsync(Registry.DeleteServiceAsync("tts"));

        (await reader.TakeAsync(4)).Select(e => e.Line()).Should().Equal(
            "instance_changed tts/a", "service_changed tts", "instance_removed tts/a draining", "service_removed tts");
    }

    [Fact]
    public async Task The_answer_is_one_that_nobody_keeps_or_holds_back()
    {
        await using var reader = await EventReader.OpenAsync(Api);
        reader.Answer.Headers.CacheControl!.NoStore.Should().BeTrue();
        reader.Answer.Headers.GetValues("X-Accel-Buffering").Should().Equal("no");

        using var head = await Api.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/events"));
        head.StatusCode.Should().Be(HttpStatusCode.OK);
        head.Content.Headers.ContentType!.MediaType.Should().Be("text/event-stream");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Who_reconnects_goes_on_where_it_was_without_loss_or_repetition(bool header)
    {
        long seen;
        await using (var first = await EventReader.OpenAsync(Api))
        {
            await DoAsync(Registry.PutServiceAsync("tts", new { }));
            await DoAsync(Registry.PatchServiceAsync("tts", new { max_connections = 1 }));
            seen = (await first.TakeAsync(2))[^1].Id();
        }

        for (var i = 2; i <= 6; i++)
            await DoAsync(Registry.PatchServiceAsync("tts", new { max_connections = i }));
        await using var second = header ? await EventReader.OpenAsync(Api, after: seen) : await EventReader.OpenAsync(Api, $"?last_event_id={seen}");
        await DoAsync(Registry.DeleteServiceAsync("tts"));

        var events = await second.TakeAsync(6);
        events.Select(e => e.Id()).Should().Equal(Enumerable.Range(1, 6).Select(i => seen + i));
        events.Select(e => e.Line()).Should().Equal([.. Enumerable.Repeat("service_changed tts", 5), "service_removed tts"]);
    }

    [Fact]
    public async Task Who_is_further_behind_than_the_history_is_told_so_first()
    {
        long seen;
        await using (var first = await EventReader.OpenAsync(Api))
        {
            await DoAsync(Registry.PutServiceAsync("tts", new { }));
            seen = (await first.TakeAsync(1))[0].Id();
        }

        await Task.WhenAll(Enumerable.Range(0, 8).Select(async s =>
        {
            for (var i = 0; i < 140; i++)
                await DoAsync(Registry.PutServiceAsync($"s{s}", new { max_connections = i + 1 }));
        }));
        await using var second = await EventReader.OpenAsync(Api, after: seen);

        var events = await second.TakeAsync(3);
        events[0].Line().Should().Be("reset: events_missed");
        events[0].Id().Should().BeGreaterThan(seen);
        (events[1].Id(), events[2].Id()).Should().Be((events[0].Id() + 1, events[0].Id() + 2));
        events[1].Text("type").Should().BeOneOf("service_added", "service_changed");
    }

    [Fact]
    public async Task One_service_can_be_followed_alone()
    {
        await using var reader = await EventReader.OpenAsync(Api, "?service=mine");
        foreach (var service in new[] { "yours", "mine", "theirs" })
            await DoAsync(Registry.PutServiceAsync(service, new { }));
        await DoAsync(Registry.DeleteServiceAsync("mine"));

        (await reader.TakeAsync(2)).Select(e => e.Line()).Should().Equal("service_added mine", "service_removed mine");
    }

    [Theory]
    [InlineData("?last_event_id=x", null, "last_event_id")]
    [InlineData("?last_event_id=-1", null, "last_event_id")]
    [InlineData("", "12x", "Last-Event-ID")]
    [InlineData("?last_event_id=3", "99999999999999999999", "Last-Event-ID")]
    [InlineData("?service=No!", null, "service")]
    public async Task What_cannot_be_read_is_named(string query, string? header, string field) =>
        (await EventReader.SendAsync(Api, query, header).ProblemAsync(400)).Faults().Should().Equal(field);

    /// <summary>Answers only after the change is told to who follows.</summary>
    private static async Task DoAsync(Task<HttpResponseMessage> change) => (await change.StatusAsync()).Should().BeLessThan(300);
}
