using Alicia.Proxy.Live;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Live;

public sealed class InstanceLiveTests
{
    [Fact]
    public void Slots_are_given_up_to_the_cap_and_again_after_a_release()
    {
        var live = new InstanceLive(1) { MaxConnections = 2 };
        live.TryReserve().Should().BeTrue();
        live.TryReserve().Should().BeTrue();
        live.TryReserve().Should().BeFalse();
        live.Release();
        live.TryReserve().Should().BeTrue();
        live.InFlight.Should().Be(2);
    }

    [Fact]
    public void An_idle_instance_reports_idle_at_once()
    {
        var live = new InstanceLive(1);
        var calls = 0;
        live.WhenIdle(_ => calls++);
        calls.Should().Be(1);
    }

    [Fact]
    public void A_busy_instance_reports_idle_from_the_last_release_only()
    {
        var live = new InstanceLive(1) { MaxConnections = 3 };
        for (var i = 0; i < 3; i++)
            live.TryReserve();
        var calls = 0;
        live.WhenIdle(_ => calls++);
        live.MaxConnections = 0;

        live.Release();
        live.Release();
        calls.Should().Be(0);
        live.Release();
        calls.Should().Be(1);
    }

    [Fact]
    public void A_release_that_races_a_departure_reports_idle_exactly_once()
    {
        for (var round = 0; round < 3000; round++)
        {
            var live = new InstanceLive(round);
            live.TryReserve();
            var calls = 0;
            Together(2, thread =>
            {
                if (thread == 0)
                {
                    live.Release();
                    return;
                }

                live.MaxConnections = 0;
                live.WhenIdle(_ => Interlocked.Increment(ref calls));
            });

            calls.Should().Be(1, "round {0}", round);
            live.InFlight.Should().Be(0);
        }
    }

    [Fact]
    public void Requests_that_come_and_go_while_the_instance_departs_report_idle_once_and_leave_nothing_in_flight()
    {
        for (var round = 0; round < 300; round++)
        {
            var live = new InstanceLive(round) { MaxConnections = 3 };
            live.TryReserve();
            var calls = 0;
            Together(4, thread =>
            {
                if (thread == 0)
                {
                    live.MaxConnections = 0;
                    live.WhenIdle(_ => Interlocked.Increment(ref calls));
                    live.Release();
                    return;
                }

                for (var i = 0; i < 20; i++)
                {
                    if (live.TryReserve())
                        live.Release();
                }
            });

            calls.Should().Be(1, "round {0}", round);
            live.InFlight.Should().Be(0);
        }
    }

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
    public void The_response_time_is_a_moving_average_that_begins_with_the_first_sample()
    {
        var live = new InstanceLive(1);
        live.ResponseTime.Should().Be(double.NaN);
        live.RecordResponseTime(2);
        live.ResponseTime.Should().Be(2);
        live.RecordResponseTime(3);
        live.ResponseTime.Should().BeApproximately(2.1, 1e-9);
    }

    [Fact]
    public void Counters_lose_nothing_under_many_threads()
    {
        var live = new InstanceLive(1);
        var service = new ServiceLive("tts");
        Together(4, _ =>
        {
            for (var i = 0; i < 10_000; i++)
            {
                live.CountRequest();
                live.CountFailure();
                service.Enter();
                service.CountRequest();
                service.CountAbort();
                service.CountFailure();
                service.CountRejection(RejectReason.AllFull, 503);
                service.CountReceived(2);
                service.CountSent(3);
                live.Ended.Count(CodeClass.Successful, RequestOutcome.Success);
                service.Leave();
            }
        });

        (live.TotalRequests, live.FailedRequests).Should().Be((40_000, 40_000));
        (service.TotalRequests, service.FailedRequests, service.AbortedRequests, service.RejectedRequests, service.ActiveConnections)
            .Should().Be((40_000, 40_000, 40_000, 40_000, 0));
        (service.BytesReceived, service.BytesSent, service.Rejected(RejectReason.AllFull), service.Rejected(RejectReason.NoInstance)).Should().Be((80_000, 120_000, 40_000, 0));
        service.Ended.Read(CodeClass.ServerError, RequestOutcome.Rejected).Should().Be(40_000);
        live.Ended.Read(CodeClass.Successful, RequestOutcome.Success).Should().Be(40_000);
    }

    [Fact]
    public void An_epoch_and_a_service_have_one_live_object_until_they_are_forgotten()
    {
        var table = new LiveTable();
        var first = table.GetOrAdd(5);
        table.GetOrAdd(5).Should().BeSameAs(first);
        table.GetOrAdd("tts").Should().BeSameAs(table.GetOrAdd("tts"));

        table.Forget(5);
        table.TryGet(5, out _).Should().BeFalse();
        table.GetOrAdd(5).Should().NotBeSameAs(first);
        table.Retire("tts");
        table.TryGet("tts", out _).Should().BeFalse();
    }
}
