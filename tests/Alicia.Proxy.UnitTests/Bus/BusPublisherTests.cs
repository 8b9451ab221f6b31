using Alicia.Proxy.Bus;
using Alicia.Proxy.Events;
using MQTTnet.Protocol;
using static Alicia.Proxy.UnitTests.Bus.Messages;

namespace Alicia.Proxy.UnitTests.Bus;

/// <summary>What the proxy says, and when.</summary>
public sealed class BusPublisherTests : IAsyncLifetime
{
    private House _house = null!;

    public async Task InitializeAsync()
    {
        _house = await House.OpenAsync();
        await _house.HearAsync(Register, """{ "service_name": "tts", "instance_id": "one", "host": "10.0.0.7", "port": 8003 }""");
    }

    public async Task DisposeAsync() => await _house.DisposeAsync();

    private async Task<ILookup<string, OutgoingMessage>> TickAsync()
    {
        _house.Time.Advance(BusPublisher.Tick);
        _house.Publisher.OnTick();
        return (await _house.SaidAsync()).ToLookup(m => m.Topic["alicia/".Length..]);
    }

    [Fact]
    public void The_greeting_is_the_state_the_announcement_and_the_health()
    {
        var greeting = _house.Publisher.Greeting();

        greeting.Select(m => m.Topic).Should().Equal("alicia/loadbalancer/status", "alicia/system/discovery/register", "alicia/system/health/load_balancer");
        greeting.Should().OnlyContain(m => m.QualityOfService == MqttQualityOfServiceLevel.AtLeastOnce);
        greeting.Select(m => m.Retain).Should().Equal(true, false, false);
        var status = PayloadOf(greeting[0]);
        status.GetProperty("load_balancer_name").GetString().Should().Be("load_balancer");
        status.GetProperty("status").GetString().Should().Be("online");
        (status.GetProperty("total_services").GetInt32(), status.GetProperty("total_instances").GetInt32()).Should().Be((1, 1));
        status.GetProperty("version").GetString().Should().Be("1.2.3");
        var own = PayloadOf(greeting[1]);
        (own.GetProperty("service_name").GetString(), own.GetProperty("status").GetString(), own.GetProperty("host").GetString(), own.GetProperty("port").GetInt32())
            .Should().Be(("load_balancer", "online", "proxy.house", 8023));
        own.GetProperty("capabilities").GetArrayLength().Should().BePositive();
        PayloadOf(greeting[2]).EnumerateObject().Select(p => p.Name).Should().Equal("service_name", "status", "uptime", "messages_processed", "errors", "timestamp");
    }

    [Fact]
    public void The_last_will_is_offline_kept_and_holds_for_ever()
    {
        var will = _house.Say.Offline();
        (will.Topic, will.Retain, will.QualityOfService).Should().Be(("alicia/loadbalancer/status", true, MqttQualityOfServiceLevel.AtLeastOnce));
        System.Text.Json.JsonElement.Parse(will.Payload).GetProperty("ttl").GetInt32().Should().Be(0);
        PayloadOf(will).GetProperty("status").GetString().Should().Be("offline");
    }

    [Fact]
    public async Task The_state_is_said_when_it_changes_and_every_half_minute()
    {
        (await TickAsync())["loadbalancer/status"].Should().ContainSingle();
        (await TickAsync())["loadbalancer/status"].Should().BeEmpty("nothing changed");
        await _house.HearAsync(Register, """{ "service_name": "stt", "host": "10.0.0.8", "port": 8001 }""");
        PayloadOf((await TickAsync())["loadbalancer/status"].Single()).GetProperty("total_services").GetInt32().Should().Be(2);

        var ticks = 0;
        ILookup<string, OutgoingMessage> said;
        do
        {
            said = await TickAsync();
            ticks++;
        }
        while (!said["loadbalancer/status"].Any() && ticks < 100);
        ticks.Should().Be(27, "that is the thirtieth second");
        PayloadOf(said["loadbalancer/stats"].Single()).GetProperty("total_requests").GetInt32().Should().Be(7);
        said["loadbalancer/stats"].Single().QualityOfService.Should().Be(MqttQualityOfServiceLevel.AtMostOnce);
        said["system/health/load_balancer"].Should().ContainSingle();
        said["loadbalancer/health"].Select(m => PayloadOf(m).GetProperty("instance_id").GetString()).Should().BeEquivalentTo("one", "10.0.0.8:8001");
    }

    [Fact]
    public async Task Nothing_regular_is_said_while_the_broker_is_away()
    {
        _house.Connected = false;
        for (var i = 0; i < 61; i++)
            (await TickAsync()).Should().BeEmpty();
    }

    [Fact]
    public async Task A_large_summary_is_spread_so_that_it_displaces_nothing()
    {
        for (var i = 0; i < 2000; i++)
            await _house.HearAsync(Register, $$"""{ "service_name": "many", "instance_id": "i{{i}}", "host": "10.0.0.9", "port": {{i + 1}} }""");
        _house.Publisher.Greeting();
        var lines = new List<int>();
        for (var i = 0; i < 29; i++)
            lines.Add((await TickAsync())["loadbalancer/health"].Count());

        lines.Max().Should().BeLessThanOrEqualTo(OutgoingQueue.Length / 2);
        lines.Sum().Should().Be(2001);
        _house.Counters.Dropped.Should().Be(0);
    }

    [Fact]
    public async Task Traffic_is_said_once_a_second_and_only_when_there_is_some()
    {
        var service = _house.Lives.GetOrAdd("tts");
        var live = _house.Lives.GetOrAdd(_house.Find("tts", "one")!.Epoch);
        (await TickAsync())["loadbalancer/requests"].Should().BeEmpty();

        for (var i = 0; i < 4; i++)
        {
            service.CountRequest();
            live.CountRequest();
        }

        service.CountFailure();
        service.CountRejection();
        live.CountFailure();
        service.Recent.Record(0.010);
        service.Recent.Record(0.030);
        live.RecordResponseTime(0.010);
        live.RecordResponseTime(0.030);
        var message = (await TickAsync())["loadbalancer/requests"].Single();

        message.QualityOfService.Should().Be(MqttQualityOfServiceLevel.AtMostOnce);
        var row = PayloadOf(message).GetProperty("services").EnumerateArray().Single();
        row.GetProperty("service_name").GetString().Should().Be("tts");
        foreach (var (field, value) in new[] { ("requests", 4.0), ("failures", 1), ("retries", 0), ("rejected", 1), ("average_response_time", 0.02) })
            row.GetProperty(field).GetDouble().Should().BeApproximately(value, 1e-6, field);
        var instance = row.GetProperty("instances").EnumerateArray().Single();
        instance.GetProperty("instance_id").GetString().Should().Be("one");
        foreach (var (field, value) in new[] { ("requests", 4.0), ("failures", 1), ("average_response_time", 0.02) })
            instance.GetProperty(field).GetDouble().Should().BeApproximately(value, 1e-6, field);

        (await TickAsync())["loadbalancer/requests"].Should().BeEmpty("that second had none");
        service.CountRequest();
        PayloadOf((await TickAsync())["loadbalancer/requests"].Single()).GetProperty("services")[0].GetProperty("requests").GetInt32().Should().Be(1);
    }

    [Fact]
    public async Task Averages_survive_the_windows_that_forget()
    {
        var service = _house.Lives.GetOrAdd("tts");
        service.CountRequest();
        service.Recent.Record(1);
        await TickAsync();
        for (var i = 0; i < 30; i++)
        {
            service.Recent.Advance();
            (await TickAsync())["loadbalancer/requests"].Should().BeEmpty();
        }
    }

    [Fact]
    public async Task Events_become_messages_about_instances()
    {
        using var stop = new CancellationTokenSource();
        var following = _house.Publisher.FollowAsync(stop.Token);
        await House.UntilAsync("following", () => _house.Events.Followers == 1);
        _house.Events.Publish(EventKind.ServiceAdded, "tts");
        _house.Events.Publish(EventKind.HealthChanged, "tts", new Happening { InstanceId = "one", Previous = "healthy", Current = "unhealthy", Reason = "probe_failed" });
        _house.Events.Publish(EventKind.CircuitChanged, "tts", new Happening { InstanceId = "one", Previous = "closed", Current = "open", Reason = "failures" });
        _house.Events.Publish(EventKind.InstanceRemoved, "tts", new Happening { InstanceId = "one" });
        await House.UntilAsync("three messages", () => _house.Outgoing.Waiting == 3);
        await stop.CancelAsync();
        await following.Invoking(f => f).Should().ThrowAsync<OperationCanceledException>();

        var said = await _house.SaidAsync();
        said.Should().OnlyContain(m => m.Topic == "alicia/loadbalancer/health" && m.QualityOfService == MqttQualityOfServiceLevel.AtLeastOnce && !m.Retain);
        said.Select(PayloadOf).Select(p => (p.GetProperty("health_status").GetString(), p.GetProperty("previous").GetString(), p.GetProperty("circuit").GetString(),
            p.GetProperty("reason").GetString())).Should().Equal(
            ("unhealthy", "healthy", "closed", "probe_failed"), ("unknown", "closed", "open", "failures"), ("unknown", null, "closed", "removed"));
        PayloadOf(said[0]).EnumerateObject().Select(p => p.Name).Should().Contain(
            ["service_name", "instance_id", "health_status", "previous", "circuit", "reason", "response_time", "timestamp"]);
    }

    [Fact]
    public async Task Questions_of_one_second_share_an_answer_after_the_first()
    {
        for (var i = 0; i < 1000; i++)
            await _house.HearAsync("alicia/system/health/check", "");
        (await _house.SaidAsync()).Select(m => m.Topic).Should().Equal("alicia/system/health/load_balancer");
        (await TickAsync())["system/health/load_balancer"].Should().ContainSingle();
        (await TickAsync())["system/health/load_balancer"].Should().BeEmpty();
    }
}
