using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;
using Yarp.ReverseProxy.Model;

namespace Alicia.Proxy.UnitTests.Admission;

public sealed class WaitingLineTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(5);

    private readonly FakeTimeProvider _time = new();
    private readonly Upstream _upstream = new("tts", new ServiceLive("tts"));
    private readonly WaitingLine _line;

    public WaitingLineTests()
    {
        _line = new WaitingLine(_upstream, _time) { Capacity = 100 };
        _upstream.Live.Waiters = _line;
    }

    [Fact]
    public async Task A_freed_slot_goes_to_whoever_has_waited_longest()
    {
        var (member, _) = (Instances(1)[0], Fill());
        var waits = Enumerable.Range(0, 5).Select(_ => WaitAsync()).ToArray();

        for (var i = 0; i < waits.Length; i++)
        {
            member.Live.Release();
            (await waits[i]).Result.Should().Be(AdmissionResult.Admitted);
            waits.Skip(i + 1).Should().NotContain(w => w.IsCompleted);
            member.Live.InFlight.Should().Be(1);
        }

        _line.Depth.Should().Be(0);
        _line.Waits.Should().Be(5);
    }

    [Fact]
    public async Task A_full_line_lets_nobody_in()
    {
        Instances(1);
        Fill();
        _line.Capacity = 1;
        _ = WaitAsync();

        (await WaitAsync()).Result.Should().Be(AdmissionResult.AllFull);
        _line.Depth.Should().Be(1);
    }

    [Fact]
    public async Task Who_has_waited_long_enough_leaves_and_the_next_slot_goes_to_the_next()
    {
        var member = Instances(1)[0];
        Fill();
        var impatient = WaitAsync(limit: TimeSpan.FromSeconds(1));
        var patient = WaitAsync();

        _time.Advance(TimeSpan.FromSeconds(2));
        (await impatient).Result.Should().Be(AdmissionResult.AllFull);
        member.Live.Release();

        (await patient).Result.Should().Be(AdmissionResult.Admitted);
        _line.WaitSeconds.Should().BeApproximately(4, 0.1);
    }

    [Fact]
    public async Task Who_has_left_is_dropped_and_takes_no_slot()
    {
        var member = Instances(1)[0];
        Fill();
        using var caller = new CancellationTokenSource();
        var gone = WaitAsync(new DefaultHttpContext { RequestAborted = caller.Token });

        await caller.CancelAsync();
        (await gone).Result.Should().Be(AdmissionResult.AllFull);
        member.Live.Release();

        (member.Live.InFlight, _line.Depth).Should().Be((0, 0));
    }

    [Fact]
    public async Task A_raised_cap_and_a_new_instance_are_slots_too_and_when_no_instance_is_left_nobody_waits()
    {
        var member = Instances(1)[0];
        Fill();
        var waits = Enumerable.Range(0, 4).Select(_ => WaitAsync()).ToArray();

        member.Live.MaxConnections = 2;
        (await waits[0]).Admitted.Member.Should().BeSameAs(member);
        var newcomer = Member(9, 1);
        Arrange([member, newcomer]);
        (await waits[1]).Admitted.Member.Should().BeSameAs(newcomer);
        Arrange([]);

        (await waits[2]).Result.Should().Be(AdmissionResult.NoInstance);
        (await waits[3]).Result.Should().Be(AdmissionResult.NoInstance);
    }

    [Fact]
    public async Task Who_may_not_use_the_free_slot_holds_up_nobody_behind()
    {
        var members = Instances(2);
        Fill();
        var tried = new TriedInstances();
        tried.Add(members[0].Live, unsent: false);
        var choosy = WaitAsync(tried: tried);
        var any = WaitAsync();

        members[0].Live.Release();
        (await any).Admitted.Member.Should().BeSameAs(members[0]);
        choosy.IsCompleted.Should().BeFalse();
        members[1].Live.Release();
        (await choosy).Admitted.Member.Should().BeSameAs(members[1]);
    }

    /// <summary>Any order of arrivals, departures, finished requests and changes of caps: never above a cap, first come first served, and never a free slot while somebody waits.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task In_any_order_of_events_the_line_keeps_its_promises(int seed)
    {
        var random = new Random(seed);
        var members = Instances(3, cap: 2);
        var running = new List<Admitted>();
        var waiting = new List<(CancellationTokenSource Caller, Task<(AdmissionResult Result, Admitted Admitted)> Wait)>();
        for (var step = 0; step < 2000; step++)
        {
            switch (random.Next(10))
            {
                case < 4:
                    if (_line.Depth == 0 && InstanceAdmission.TryAdmit(_upstream, null, null, out var state, out var member, out var permit) == AdmissionResult.Admitted)
                    {
                        running.Add(new Admitted(state, member, permit));
                        break;
                    }

                    var caller = new CancellationTokenSource();
                    waiting.Add((caller, WaitAsync(new DefaultHttpContext { RequestAborted = caller.Token })));
                    break;
                case < 8 when running.Count > 0:
                    var done = random.Next(running.Count);
                    running[done].Release();
                    running.RemoveAt(done);
                    break;
                case 8 when waiting.Count > 0:
                    var left = random.Next(waiting.Count);
                    await waiting[left].Caller.CancelAsync();
                    (await waiting[left].Wait).Result.Should().Be(AdmissionResult.AllFull);
                    waiting.RemoveAt(left);
                    break;
                case 9:
                    members[random.Next(members.Length)].Live.MaxConnections = random.Next(1, 4);
                    _line.SlotFreed();
                    break;
            }

            // What was handed over is handed over in order: those who still wait came after those who do not.
            var waits = _line.Depth;
            var served = waiting.Count - waits;
            foreach (var (_, wait) in waiting.Take(served))
            {
                var outcome = await wait;
                outcome.Result.Should().Be(AdmissionResult.Admitted);
                running.Add(outcome.Admitted);
            }

            waiting.RemoveRange(0, served);
            waiting.Should().NotContain(w => w.Wait.IsCompleted);
            members.Sum(m => m.Live.InFlight).Should().Be(running.Count);
            if (waits > 0)
                members.Should().OnlyContain(m => m.Live.InFlight >= m.Live.Slots, "nobody waits beside a free slot");
        }
    }

    [Fact]
    public async Task Under_concurrency_no_wake_up_is_lost_and_no_cap_is_passed()
    {
        const int Requests = 20_000, Workers = 16;
        var members = Instances(2, cap: 2);
        var over = 0;
        var left = Requests;
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Decrement(ref left) >= 0)
            {
                Admitted admitted = default;
                if (_line.Depth > 0 || InstanceAdmission.TryAdmit(_upstream, null, null, out var state, out var member, out var permit) != AdmissionResult.Admitted)
                    admitted = (await WaitAsync()).Admitted;
                else
                    admitted = new Admitted(state, member, permit);
                admitted.Member.Should().NotBeNull();
                if (admitted.Member.Live.InFlight > 2)
                    Interlocked.Increment(ref over);
                if ((left & 7) == 0)
                    await Task.Yield();
                admitted.Release();
            }
        }))).WaitAsync(TimeSpan.FromSeconds(60));

        over.Should().Be(0);
        (members.Sum(m => m.Live.InFlight), _line.Depth).Should().Be((0, 0));
    }

    private Task<(AdmissionResult Result, Admitted Admitted)> WaitAsync(HttpContext? context = null, TriedInstances? tried = null, TimeSpan? limit = null) =>
        _line.WaitAsync(context ?? new DefaultHttpContext(), tried, limit ?? Long).AsTask();

    private PoolMember[] Instances(int count, int cap = 1)
    {
        PoolMember[] members = [.. Enumerable.Range(1, count).Select(epoch => Member(epoch, cap))];
        Arrange(members);
        return members;
    }

    private PoolMember Member(long epoch, int cap)
    {
        var live = new InstanceLive(epoch) { MaxConnections = cap, Waiters = _line };
        return new PoolMember(live, UpstreamEndpoint.None, new DestinationState(DestinationIds.Of(epoch)), InstanceGate.Detached(live));
    }

    private void Arrange(PoolMember[] members)
    {
        _upstream.State = new UpstreamState(new Pool(members), new RoundRobin(), ServiceSettings.BuiltIn);
        _line.SlotFreed();
    }

    private int Fill()
    {
        var count = 0;
        while (InstanceAdmission.TryAdmit(_upstream, null, null, out _, out _, out _) == AdmissionResult.Admitted)
            count++;
        return count;
    }
}
