using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Yarp.ReverseProxy.Model;

namespace Alicia.Proxy.UnitTests.Balancing;

/// <summary>Pool members and pools for the balancing and admission tests, and the counts that come of them.</summary>
internal static class Pools
{
    public static PoolMember Member(long epoch, int weight = 1, int cap = 1_000_000, string? id = null)
    {
        var live = new InstanceLive(epoch) { Weight = weight, MaxConnections = cap };
        var endpoint = id is null ? UpstreamEndpoint.None : new UpstreamEndpoint(epoch, id, "http", "127.0.0.1", 8080);
        return new PoolMember(live, endpoint, new DestinationState(DestinationIds.Of(epoch)), InstanceGate.Detached(live));
    }

    /// <summary>One member for each weight, with epochs from 1.</summary>
    public static PoolMember[] Members(params int[] weights) => [.. weights.Select((weight, i) => Member(i + 1, weight))];

    public static PoolMember[] Equal(int count) => Members([.. Enumerable.Repeat(1, count)]);

    /// <summary>The epoch that the policy picks from a pool.</summary>
    public static long PickEpoch(this BalancingPolicy policy, Pool pool) => pool.Lives[policy.Pick(pool, 0)].Epoch;

    /// <summary>Picks by epoch.</summary>
    public static Dictionary<long, int> Count(IEnumerable<long> picks) => picks.GroupBy(e => e).ToDictionary(g => g.Key, g => g.Count());

    /// <summary>Runs the same work on several threads that start together; an exception of any of them fails the test.</summary>
    public static void Together(int threads, Action<int> work)
    {
        using var barrier = new Barrier(threads);
        var tasks = Enumerable.Range(0, threads).Select(i => Task.Factory.StartNew(
            () =>
            {
                barrier.SignalAndWait();
                work(i);
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
        Task.WaitAll(tasks);
    }
}
