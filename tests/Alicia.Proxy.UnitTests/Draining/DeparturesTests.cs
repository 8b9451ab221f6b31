using Alicia.Proxy.Connections;
using Alicia.Proxy.Draining;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Draining;

/// <summary>Departures over a real registry; the test plays the publisher that announces them.</summary>
public sealed class DeparturesTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _time = new();
    private readonly LiveTable _lives = new();
    private readonly EndpointTable _endpoints = new();
    private readonly ServiceRegistry _registry;
    private readonly Departures _departures;
    private readonly List<long> _overdue = [];
    private Instance _instance = null!;

    public DeparturesTests()
    {
        _registry = new ServiceRegistry(new MemoryRegistryStore(), _time, NullLogger<ServiceRegistry>.Instance);
        _departures = new Departures(_registry, _lives, _endpoints, new Alicia.Proxy.Circuit.GateTable(), _time, NullLogger<Departures>.Instance) { Overdue = _overdue.Add };
    }

    public async Task InitializeAsync()
    {
        await _registry.LoadAsync(default);
        _instance = (await _registry.SubmitAsync(Register("tts"), default)).Value!.Instance;
        _endpoints.GetOrAdd(_instance, TimeSpan.FromSeconds(5));
        _lives.GetOrAdd(_instance.Epoch).MaxConnections = 10;
    }

    public async Task DisposeAsync() => await _registry.DisposeAsync();

    [Fact]
    public async Task An_idle_instance_leaves_at_once()
    {
        await BeginAsync();
        await StruckAsync();
        _departures.Forget(_instance);

        _departures.GoneAsync(_instance.Epoch).IsCompleted.Should().BeTrue();
        _lives.TryGet(_instance.Epoch, out _).Should().BeFalse();
        _endpoints.Count.Should().Be(0);
    }

    [Fact]
    public async Task A_busy_instance_leaves_with_its_last_request()
    {
        var live = _lives.GetOrAdd(_instance.Epoch);
        live.TryReserve();
        live.TryReserve();
        await BeginAsync();
        var gone = _departures.GoneAsync(_instance.Epoch);

        live.Release();
        gone.IsCompleted.Should().BeFalse();
        _registry.Snapshot.Services["tts"].Instances.Should().ContainSingle();
        live.Release();

        await StruckAsync();
        _departures.Forget(_instance);
        await gone.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task An_instance_that_stays_busy_is_struck_off_at_the_drain_timeout_and_its_request_finishes()
    {
        var live = _lives.GetOrAdd(_instance.Epoch);
        live.TryReserve();
        await BeginAsync();
        _time.Advance(TimeSpan.FromSeconds(29));
        _registry.Snapshot.Services["tts"].Instances.Should().ContainSingle();

        _time.Advance(TimeSpan.FromSeconds(1));
        await StruckAsync();
        _departures.Forget(_instance);

        _departures.GoneAsync(_instance.Epoch).IsCompleted.Should().BeTrue();
        _lives.TryGet(_instance.Epoch, out _).Should().BeTrue("its request is still in flight");
        _endpoints.Count.Should().Be(1);
        live.Release();
        _lives.TryGet(_instance.Epoch, out _).Should().BeFalse();
        _endpoints.Count.Should().Be(0);
    }

    [Fact]
    public async Task An_operators_drain_ends_connections_at_the_timeout_unless_it_is_taken_back()
    {
        var live = _lives.GetOrAdd(_instance.Epoch);
        live.TryReserve();
        var drained = _instance with { OperatorDrain = true };

        _departures.DrainedByOperator(drained);
        _time.Advance(TimeSpan.FromSeconds(29));
        _departures.DrainedByOperator(_instance);
        _time.Advance(TimeSpan.FromMinutes(5));
        _overdue.Should().BeEmpty();

        _departures.DrainedByOperator(drained);
        _time.Advance(TimeSpan.FromSeconds(30));
        _overdue.Should().Equal(_instance.Epoch);
        (live.IsOverdue, _registry.Snapshot.Services["tts"].Instances.Length).Should().Be((true, 1), "it stays listed");

        _departures.DrainedByOperator(_instance);
        live.IsOverdue.Should().BeFalse();
        _departures.DrainedByOperator(drained);
        await BeginAsync();
        _time.Advance(TimeSpan.FromSeconds(30));
        _overdue.Should().Equal([_instance.Epoch, _instance.Epoch], "one that leaves has one deadline");
    }

    [Fact]
    public async Task At_the_drain_timeout_whoever_keeps_connections_is_told_once()
    {
        var live = _lives.GetOrAdd(_instance.Epoch);
        live.TryReserve();
        await BeginAsync();
        _time.Advance(TimeSpan.FromSeconds(29));
        _overdue.Should().BeEmpty();
        live.IsOverdue.Should().BeFalse();

        _time.Advance(TimeSpan.FromSeconds(1));

        _overdue.Should().Equal(_instance.Epoch);
        live.IsOverdue.Should().BeTrue();
        await StruckAsync();
        _departures.Forget(_instance);
        _time.Advance(TimeSpan.FromMinutes(5));
        _overdue.Should().ContainSingle();
    }

    [Fact]
    public async Task An_instance_that_is_replaced_while_it_drains_keeps_its_drain_timeout()
    {
        _lives.GetOrAdd(_instance.Epoch).TryReserve();
        await BeginAsync();
        _time.Advance(TimeSpan.FromSeconds(20));
        (await _registry.SubmitAsync(Register("tts"), default)).Accepted.Should().BeTrue();
        _departures.Forget(_instance);
        _departures.GoneAsync(_instance.Epoch).IsCompleted.Should().BeTrue("the registry lists its successor");

        _time.Advance(TimeSpan.FromSeconds(9));
        _overdue.Should().BeEmpty();
        _time.Advance(TimeSpan.FromSeconds(1));

        _overdue.Should().Equal(_instance.Epoch);
        _registry.Snapshot.Services["tts"].Instances.Should().ContainSingle("the successor stays");
    }

    [Fact]
    public void An_instance_that_is_replaced_without_draining_has_the_drain_timeout_from_then_on()
    {
        var live = _lives.GetOrAdd(_instance.Epoch);
        live.TryReserve();
        _departures.Forget(_instance);
        _time.Advance(TimeSpan.FromSeconds(29));
        _overdue.Should().BeEmpty();

        _time.Advance(TimeSpan.FromSeconds(1));

        _overdue.Should().Equal(_instance.Epoch);
        live.Release();
        _lives.TryGet(_instance.Epoch, out _).Should().BeFalse();
    }

    [Fact]
    public void A_replaced_instance_that_is_idle_in_time_is_not_overdue()
    {
        var live = _lives.GetOrAdd(_instance.Epoch);
        live.TryReserve();
        _departures.Forget(_instance);

        live.Release();
        _time.Advance(TimeSpan.FromMinutes(5));

        _overdue.Should().BeEmpty();
        _endpoints.Count.Should().Be(0);
    }

    [Fact]
    public async Task Beginning_twice_is_beginning_once()
    {
        _lives.GetOrAdd(_instance.Epoch).TryReserve();
        await BeginAsync();
        var gone = _departures.GoneAsync(_instance.Epoch);
        _departures.Begin(_instance);
        _departures.GoneAsync(_instance.Epoch).Should().BeSameAs(gone);
    }

    [Fact]
    public void What_is_not_leaving_is_not_waited_for() => _departures.GoneAsync(12345).IsCompleted.Should().BeTrue();

    private async Task BeginAsync()
    {
        (await _registry.SubmitAsync(new RemoveInstance("tts", "a"), default)).Accepted.Should().BeTrue();
        _lives.GetOrAdd(_instance.Epoch).MaxConnections = 0;
        _departures.Begin(_instance);
    }

    /// <summary>Waits until the registry no longer lists the instance, at most ten seconds.</summary>
    private async Task StruckAsync()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (_registry.Snapshot.Services["tts"].Instances.Length > 0)
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }
}
