using Alicia.Proxy.Balancing;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Yarp.ReverseProxy.LoadBalancing;
using Yarp.ReverseProxy.Model;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

/// <summary>What holds for every policy: no allocation on a pick, and the same behaviour through YARP's interface.</summary>
public sealed class PolicyContractTests
{
    private static readonly int[] Weights = [5, 3, 2, 1, 1, 7];

    public static TheoryData<string> Names => [.. Choices];

    private static IReadOnlyList<string> Choices => ((ChoiceCodec)SettingKeys.Algorithm.Codec).Choices;

    [Theory]
    [MemberData(nameof(Names))]
    public void A_pick_allocates_nothing(string name)
    {
        var policy = Policy(name);
        var pool = new Pool(Members(Weights));
        policy.Prepare(pool, ServiceSettings.BuiltIn);
        AssertNoAllocation(policy, pool);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_pick_among_instances_that_are_busy_and_warm_up_allocates_nothing(string name)
    {
        var policy = Policy(name);
        var members = Members(Weights);
        foreach (var member in members)
        {
            member.Live.Warm((int)member.Live.Epoch, InstanceLive.FullWarmth);
            member.Live.TryReserve().Should().BeTrue();
        }

        var pool = new Pool(members);
        policy.Prepare(pool, ServiceSettings.BuiltIn);
        pool.Warming.Should().BeTrue();
        AssertNoAllocation(policy, pool);
    }

    [Fact]
    public void A_weighted_pick_allocates_nothing_past_the_longest_period_that_is_laid_out()
    {
        int[] weights = [.. Enumerable.Range(0, 100).Select(i => 901 + i), 7];
        AssertNoAllocation(new WeightedRoundRobin(), new Pool(Members(weights)));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Through_YARPs_interface_a_pool_is_used_as_it_is_and_without_allocation(string name)
    {
        ILoadBalancingPolicy policy = Policy(name);
        var pool = new Pool(Members(Weights));
        var (context, cluster) = (new DefaultHttpContext(), new ClusterState("tts"));
        policy.Name.Should().Be(name);
        for (var i = 0; i < 10_000; i++)
            policy.PickDestination(context, cluster, pool);

        var before = GC.GetAllocatedBytesForCurrentThread();
        var nulls = 0;
        for (var i = 0; i < 10_000; i++)
            nulls += policy.PickDestination(context, cluster, pool) is null ? 1 : 0;
        (GC.GetAllocatedBytesForCurrentThread() - before).Should().Be(0);
        nulls.Should().Be(0);
    }

    [Theory]
    [InlineData("round_robin", 1, 1, 1)]
    [InlineData("least_connections", 1, 1, 1)]
    [InlineData("weighted_round_robin", 5, 3, 1)]
    public void Through_YARPs_interface_a_plain_list_goes_on_with_the_rotation(string name, int a, int b, int c)
    {
        var lives = new LiveTable();
        int[] weights = [5, 3, 1];
        for (var epoch = 1; epoch <= 3; epoch++)
            (lives.GetOrAdd(epoch).Weight, lives.GetOrAdd(epoch).MaxConnections) = (weights[epoch - 1], 1000);
        var context = new DefaultHttpContext { RequestServices = new ServiceCollection().AddSingleton(lives).BuildServiceProvider() };
        List<DestinationState> destinations = [new("1"), new("2"), new("3")];
        ILoadBalancingPolicy policy = Policy(name);

        var rounds = 60;
        var picks = Enumerable.Range(0, rounds * (a + b + c)).Select(_ => policy.PickDestination(context, new ClusterState("tts"), destinations)!).ToList();

        picks.Should().OnlyContain(d => destinations.Contains(d));
        int[] expected = [a, b, c];
        for (var i = 0; i < 3; i++)
            picks.Count(d => d == destinations[i]).Should().BeCloseTo(rounds * expected[i], (uint)(rounds * expected[i] / 10) + 1, "member {0}", i + 1);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Through_YARPs_interface_an_empty_list_gives_nobody_and_a_single_one_itself(string name)
    {
        ILoadBalancingPolicy policy = Policy(name);
        var only = new DestinationState("7");
        var context = new DefaultHttpContext { RequestServices = new ServiceCollection().AddSingleton(new LiveTable()).BuildServiceProvider() };

        policy.PickDestination(context, new ClusterState("tts"), new List<DestinationState>()).Should().BeNull();
        policy.PickDestination(context, new ClusterState("tts"), Pool.Empty).Should().BeNull();
        policy.PickDestination(context, new ClusterState("tts"), new List<DestinationState> { only }).Should().BeSameAs(only);
    }

    [Fact]
    public void Every_policy_is_registered_for_YARP_and_for_the_catalog_as_one_object()
    {
        using var services = new ServiceCollection().AddBalancing(TimeProvider.System).BuildServiceProvider();
        var catalog = services.GetRequiredService<PolicyCatalog>();
        var yarps = services.GetServices<ILoadBalancingPolicy>().ToDictionary(p => p.Name);

        yarps.Keys.Should().BeEquivalentTo(Choices, "what configuration offers is there, and the other way round");
        foreach (var (name, policy) in yarps)
            catalog[name].Should().BeSameAs(policy);
    }

    private static BalancingPolicy Policy(string name) => BalancingServices.All(new Random(1), TimeProvider.System).Single(p => p.Name == name);

    private static void AssertNoAllocation(BalancingPolicy policy, Pool pool)
    {
        var sum = 0;
        for (var i = 0; i < 10_000; i++)
            sum += policy.Pick(pool, (ulong)(i % 1000));
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10_000; i++)
            sum += policy.Pick(pool, (ulong)(i % 1000));
        (GC.GetAllocatedBytesForCurrentThread() - before).Should().Be(0);
        sum.Should().BeGreaterThan(0);
    }
}
