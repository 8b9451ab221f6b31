using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using BenchmarkDotNet.Attributes;
using Yarp.ReverseProxy.Model;

namespace Alicia.Proxy.Benchmarks.Micro;

/// <summary>A pick by each policy, alone and with the reservation that makes it an admission.</summary>
public class PickBenchmarks
{
    private UpstreamState _upstream = UpstreamState.Initial;

    private ulong _key;

    [Params("round_robin", "least_connections", "weighted_round_robin", "random", "power_of_two_choices", "peak_ewma", "consistent_hash")]
    public string Policy { get; set; } = "";

    [Params(2, 10, 100, 1000)]
    public int Instances { get; set; }

    /// <summary>Each instance has a request already: idle ones would spare consistent hashing its bound.</summary>
    [GlobalSetup]
    public void SetUp()
    {
        _upstream = Upstreams.State(Policy, Instances);
        foreach (var live in _upstream.Tiers[0].Pool.Lives)
        {
            if (!live.TryReserve())
                throw new InvalidOperationException("the instance has no slot");
        }
    }

    [Benchmark]
    public int Pick() => _upstream.Policy.Pick(_upstream.Tiers[0].Pool, NextKey());

    /// <summary>Another key each time, as requests have; a multiplication by an odd number goes through all of them.</summary>
    private ulong NextKey() => _upstream.Policy.UsesKey ? _key = (_key + 1) * 0x9E3779B97F4A7C15 : 0;

    [Benchmark]
    public int AdmitAndRelease()
    {
        var result = InstanceAdmission.TryAdmit(_upstream, null, out var member, out _);
        member.Live.Release();
        return (int)result;
    }
}

/// <summary>An admission that finds every instance at its cap: what overload costs per refused request.</summary>
public class FullPoolBenchmarks
{
    private UpstreamState _upstream = UpstreamState.Initial;

    [Params("round_robin", "least_connections")]
    public string Policy { get; set; } = "";

    [Params(10, 1000)]
    public int Instances { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _upstream = Upstreams.State(Policy, Instances);
        foreach (var live in _upstream.Tiers[0].Pool.Lives)
        {
            live.MaxConnections = 1;
            if (!live.TryReserve())
                throw new InvalidOperationException("the instance has no slot");
        }
    }

    [Benchmark]
    public int RefuseWhenFull() => (int)InstanceAdmission.TryAdmit(_upstream, null, out _, out _);
}

/// <summary>Services as the publisher would build them.</summary>
internal static class Upstreams
{
    /// <summary>Weights 1 to 5 in turn: a mix that makes weighted schedules and sums do their work.</summary>
    public static int Weight(int index) => (index % 5) + 1;

    public static UpstreamState State(string policy, int instances)
    {
        var members = Enumerable.Range(0, instances).Select(i => Member(new InstanceLive(i + 1) { MaxConnections = 100, Weight = Weight(i) }));
        // The chance of production, not a seeded one: what it costs is part of the figure.
        var chosen = BalancingServices.All(Random.Shared, TimeProvider.System).Single(p => p.Name == policy);
        var pool = new Pool(members);
        chosen.Prepare(pool, ServiceSettings.BuiltIn);
        foreach (var live in pool.Lives)
            live.RecordResponseTime(0.01);
        return new UpstreamState(pool, chosen, ServiceSettings.BuiltIn);
    }

    private static PoolMember Member(InstanceLive live) => new(live, UpstreamEndpoint.None, new DestinationState(DestinationIds.Of(live.Epoch)), InstanceGate.Detached(live));
}
