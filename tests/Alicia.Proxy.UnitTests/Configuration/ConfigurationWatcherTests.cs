using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Alicia.Proxy.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Configuration;

public sealed class ConfigurationWatcherTests : IDisposable, ILogger<ConfigurationWatcher>
{
    private readonly TempDirectory _working = new();
    private readonly FakeTimeProvider _time = new();
    private readonly ConcurrentQueue<(LogLevel Level, string Text)> _log = new();
    private readonly ConcurrentQueue<ProxyConfiguration> _applied = new();
    private Func<ProxyConfiguration, IReadOnlyList<ConfigurationFault>> _verdict = _ => [];
    private CurrentConfiguration _current = null!;

    public void Dispose() => _working.Dispose();

    [Fact]
    public async Task A_change_is_applied_once_two_looks_see_the_same()
    {
        using var watcher = Started("""{ "Routing": { "Domain": "a.org" } }""");
        await watcher.LookAsync(default);
        Write("""{ "Routing": { "Domain": "b.example.org" } }""");
        await watcher.LookAsync(default);
        _current.Value.Routing.Domain.Should().Be("a.org", "it may still be written to");

        Write("""{ "Routing": { "Domain": "third.example.org" } }""");
        await watcher.LookAsync(default);
        _current.Value.Routing.Domain.Should().Be("a.org", "it was still written to");
        await watcher.LookAsync(default);
        await watcher.LookAsync(default);

        _current.Value.Routing.Domain.Should().Be("third.example.org");
        _applied.Should().ContainSingle().Which.Should().BeSameAs(_current.Value);
        _log.Should().Equal((LogLevel.Information, "Configuration reloaded, 1 keys changed: Routing:Domain"));
    }

    [Fact]
    public async Task A_change_between_load_and_first_look_is_not_missed()
    {
        using var watcher = Started("""{ "Routing": { "Domain": "a.org" } }""");
        Write("""{ "Routing": { "Domain": "later.example.org" } }""");
        await SettleAsync(watcher);
        _current.Value.Routing.Domain.Should().Be("later.example.org");
    }

    [Fact]
    public async Task An_invalid_file_keeps_the_old_values_and_says_so_once()
    {
        using var watcher = Started("""{ "Routing": { "Domain": "a.org" } }""");
        var before = _current.Value;
        Write("""{ "Routing": { "Domain": "b.org", "PathPrefix": "maybe" }, "Registry": { "Store": "x" } }""");
        await SettleAsync(watcher);
        await SettleAsync(watcher);

        _current.Value.Should().BeSameAs(before);
        _applied.Should().BeEmpty();
        var line = _log.Should().ContainSingle().Subject;
        line.Level.Should().Be(LogLevel.Error);
        line.Text.Should().Contain("Routing:PathPrefix").And.Contain("Registry:Store");
    }

    [Fact]
    public async Task A_refusal_of_the_registry_keeps_the_old_values()
    {
        using var watcher = Started("{}");
        var before = _current.Value;
        _verdict = _ => [new ConfigurationFault("Services:tts:Instances:0:Host", "is forbidden")];
        Write("""{ "Services": { "tts": { "Instances": [{ "Host": "1.1.1.1", "Port": 1 }] } } }""");
        await SettleAsync(watcher);

        _current.Value.Should().BeSameAs(before);
        _log.Should().ContainSingle().Which.Text.Should().Contain("Services:tts:Instances:0:Host: is forbidden");
    }

    [Fact]
    public async Task What_needs_a_restart_is_named_and_stays_while_the_rest_is_applied()
    {
        using var watcher = Started("{}");
        Write("""
            {
              "Listen": { "Proxy": "http://127.0.0.1:9999", "Management": "http://127.0.0.1:8023" },
              "Registry": { "Store": "memory", "Path": "other.db", "RemoveAfter": "02:00:00" },
              "Mqtt": { "Host": "broker", "Username": "u", "Password": "hidden", "Addresses": { "tts": "http://tts:1" }, "Tls": { "Enabled": true } },
              "Logging": { "Format": "json", "AccessLog": true }, "Forwarding": { "Http1": "yarp" }, "Shutdown": { "Grace": "00:00:03" }
            }
            """);
        await SettleAsync(watcher);

        var value = _current.Value;
        value.Listen.Proxy.Single().Port.Should().Be(8080);
        value.Registry.Store.Should().Be(RegistryStore.Sqlite);
        value.Mqtt.Host.Should().BeNull();
        value.Logging.Format.Should().Be(LogFormat.Text);
        value.ForwardingHttp1.Should().Be(Http1Forwarding.Direct);
        value.Registry.RemoveAfter.Should().Be(TimeSpan.FromHours(2));
        value.Logging.AccessLog.Should().Be(1);
        value.Shutdown.Grace.Should().Be(TimeSpan.FromSeconds(3));
        _log.Where(l => l.Level == LogLevel.Warning).Select(l => l.Text.Split(' ')[2]).Should().BeEquivalentTo(
            "Listen:Proxy", "Registry:Store", "Registry:Path", "Mqtt:Host", "Mqtt:Username", "Mqtt:Password", "Mqtt:Addresses:tts", "Mqtt:Tls:Enabled",
            "Logging:Format", "Forwarding:Http1");
        _log.Should().ContainSingle(l => l.Level == LogLevel.Information)
            .Which.Text.Should().EndWith("3 keys changed: Logging:AccessLog, Registry:RemoveAfter, Shutdown:Grace");
        _log.Should().OnlyContain(l => !l.Text.Contains("hidden"));
    }

    [Fact]
    public async Task The_last_api_key_cannot_be_taken_away_while_the_open_listener_is_reachable()
    {
        using var watcher = Started("""
            { "Listen": { "Management": "http://0.0.0.0:8023" }, "Management": { "ApiKeys": { "a": { "Key": "0123456789abcdef", "Scopes": "admin" } } } }
            """);
        Write("""{ "Listen": { "Management": "http://127.0.0.1:8023" } }""");
        await SettleAsync(watcher);

        _current.Value.ApiKeys.Should().ContainSingle();
        _log.Should().ContainSingle().Which.Level.Should().Be(LogLevel.Error);
    }

    [Fact]
    public async Task A_config_map_that_swaps_its_directory_link_is_noticed()
    {
        _working.Write("v1/alicia.json", """{ "Routing": { "Domain": "one.org" } }""");
        _working.Write("v2/alicia.json", """{ "Routing": { "Domain": "two.org" } }""");
        File.SetLastWriteTimeUtc(Path.Combine(_working.Path, "v1/alicia.json"), DateTime.UnixEpoch);
        File.SetLastWriteTimeUtc(Path.Combine(_working.Path, "v2/alicia.json"), DateTime.UnixEpoch);
        Directory.CreateDirectory(Path.Combine(_working.Path, "config"));
        var data = Path.Combine(_working.Path, "config", "..data");
        Directory.CreateSymbolicLink(data, "../v1");
        File.CreateSymbolicLink(Path.Combine(_working.Path, "config", "alicia.json"), "..data/alicia.json");
        using var watcher = Started(null);
        _current.Value.Routing.Domain.Should().Be("one.org");

        Directory.Delete(data);
        Directory.CreateSymbolicLink(data, "../v2");
        await SettleAsync(watcher);

        _current.Value.Routing.Domain.Should().Be("two.org");
    }

    [Fact]
    public void Files_that_are_not_there_or_lead_nowhere_count_as_missing()
    {
        var loop = Path.Combine(_working.Path, "loop");
        File.CreateSymbolicLink(loop, "loop");
        FileStamp.Of(loop).RealPath.Should().BeNull();
        FileStamp.Of(Path.Combine(_working.Path, "none")).RealPath.Should().BeNull();
        FileStamp.Of(_working.Path).RealPath.Should().BeNull("a directory is no file");
    }

    [Fact]
    public async Task The_watch_runs_by_its_clock_and_outlives_a_failure()
    {
        using var watcher = Started("{}");
        _verdict = _ => throw new InvalidOperationException("store is gone");
        await watcher.StartAsync(default);
        Write("""{ "Routing": { "Domain": "first.org" } }""");
        await UntilAsync(() => _log.Any(l => l.Level == LogLevel.Error));
        _current.Value.Routing.Domain.Should().Be("alicia.local");

        _verdict = _ => [];
        Write("""{ "Routing": { "Domain": "second.example.org" } }""");
        await UntilAsync(() => _current.Value.Routing.Domain == "second.example.org");
        await watcher.StopAsync(default);
        watcher.ExecuteTask!.Status.Should().Be(TaskStatus.RanToCompletion);
    }

    [Fact]
    public async Task A_hangup_signal_reloads_at_once()
    {
        if (OperatingSystem.IsWindows())
            return;
        using var watcher = Started("{}");
        await watcher.StartAsync(default);
        Write("""{ "Routing": { "Domain": "signal.org" } }""");
        Kill(Environment.ProcessId, 1).Should().Be(0);
        await UntilAsync(() => _current.Value.Routing.Domain == "signal.org", tick: false);
        await watcher.StopAsync(default);
    }

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;

    bool ILogger.IsEnabled(LogLevel logLevel) => true;

    void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _log.Enqueue((logLevel, formatter(state, exception)));

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int Kill(int process, int signal);

    private void Write(string json) => _working.Write("config/alicia.json", json);

    private ConfigurationWatcher Started(string? json)
    {
        if (json is not null)
            Write(json);
        var loader = new ConfigurationLoader(_working.Path, _working.Path, new Dictionary<string, string>(), []);
        var load = loader.Load();
        load.Faults.Should().BeEmpty();
        _current = new CurrentConfiguration(load.Value!);
        return new ConfigurationWatcher(loader, _current, load.Stamps, (next, _) =>
        {
            var faults = _verdict(next);
            if (faults.Count == 0)
                _applied.Enqueue(next);
            return Task.FromResult(faults);
        }, _time, this);
    }

    private static async Task SettleAsync(ConfigurationWatcher watcher)
    {
        await watcher.LookAsync(default);
        await watcher.LookAsync(default);
    }

    /// <summary>Polls a condition, ticking the fake clock, for at most ten seconds.</summary>
    private async Task UntilAsync(Func<bool> condition, bool tick = true)
    {
        var deadline = Environment.TickCount64 + 10_000;
        while (!condition())
        {
            Environment.TickCount64.Should().BeLessThan(deadline, "the condition should come true in time");
            if (tick)
                _time.Advance(ConfigurationWatcher.Interval);
            await Task.Delay(5);
        }
    }
}
