using Alicia.Proxy.Live;

namespace Alicia.Proxy.UnitTests.Live;

/// <summary>Slots are exact under any concurrency: not one above the cap, and none after the instance was closed and found idle.</summary>
public sealed class InstanceLiveTests
{
    [Fact]
    public void A_slot_is_never_taken_after_the_instance_was_closed_and_found_idle()
    {
        // The race is a few nanoseconds wide: many rounds, both sides let go at the same moment.
        const int Rounds = 60_000;
        using var start = new Barrier(2);
        var live = new InstanceLive(0);
        var late = 0;
        var closed = false;
        var taker = new Thread(() =>
        {
            for (var round = 0; round < Rounds; round++)
            {
                start.SignalAndWait();
                for (var attempt = 0; attempt < 20; attempt++)
                {
                    if (!live.TryReserve())
                        continue;
                    if (Volatile.Read(ref closed))
                        late++;
                    live.Release();
                }
                start.SignalAndWait();
            }
        });
        taker.Start();

        for (var round = 0; round < Rounds; round++)
        {
            live = new InstanceLive(round) { MaxConnections = 1 };
            Volatile.Write(ref closed, false);
            start.SignalAndWait();
            live.MaxConnections = 0;
            live.WhenIdle(_ => Volatile.Write(ref closed, true));
            start.SignalAndWait();
        }
        taker.Join();

        late.Should().Be(0);
    }

    [Fact]
    public void Whoever_waits_for_the_last_request_is_called_exactly_once()
    {
        var live = new InstanceLive(1) { MaxConnections = 2 };
        live.TryReserve().Should().BeTrue();
        live.TryReserve().Should().BeTrue();
        live.TryReserve().Should().BeFalse();
        var calls = 0;

        live.MaxConnections = 0;
        live.WhenIdle(_ => calls++);
        live.Release();
        calls.Should().Be(0);
        live.TryReserve().Should().BeFalse();
        live.Release();
        live.TryReserve().Should().BeFalse();

        calls.Should().Be(1);
        live.InFlight.Should().Be(0);
    }
}
