using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Health;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.UnitTests.Registry;
using Microsoft.Extensions.Time.Testing;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Health;

/// <summary>When an instance that answers nothing is noticed by its requests, long before they time out.</summary>
public sealed class SilenceTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly InstanceLive _live = new(1) { MaxConnections = 100 };
    private readonly Watch _watch;

    public SilenceTests() => _watch = new Watch(new Drafts().Do(Register("tts")).Instance, ProbeSettings.Resolve(ServiceSettings.BuiltIn, SettingOverrides.Empty), _live,
        InstanceGate.Detached(_live), UpstreamEndpoint.None);

    [Fact]
    public void A_request_that_waits_for_most_of_a_probes_timeout_without_any_head_is_silence()
    {
        Look().Should().BeFalse();
        Send();
        Look().Should().BeFalse();
        SecondsToSilence().Should().BeInRange(3.75, 4.25, "with the probe's own five seconds that is two timeouts at most");
        SecondsToSilence().Should().BeInRange(3.5, 4.25, "it is said again as long as it lasts, once per such time");
    }

    [Fact]
    public void Callers_that_all_hang_in_their_next_request_are_silence()
    {
        // Busy until a moment ago: a request, its head, and the next request, all between two looks. Then nobody sends any more, because everybody waits.
        Send();
        Look();
        Pass(0.1);
        Head();
        Send();
        Look().Should().BeFalse();
        SecondsToSilence().Should().BeInRange(3.5, 4.25);
    }

    [Fact]
    public void Requests_that_end_without_a_head_wait_for_none()
    {
        Send();
        _live.Ended.Count(CodeClass.None, RequestOutcome.Aborted);
        _live.Release();
        Send();
        Head();
        SecondsToSilence().Should().Be(double.PositiveInfinity);
    }

    [Fact]
    public void A_head_to_any_request_ends_the_silence()
    {
        Send();
        Send();
        for (var i = 0; i < 40; i++)
        {
            Pass(0.25);
            if (i % 8 == 0)
            {
                Send();
                Head();
            }

            Look().Should().BeFalse();
        }
    }

    [Fact]
    public void Connections_that_stay_after_their_head_are_no_silence()
    {
        Send();
        Head();
        for (var i = 0; i < 100; i++)
        {
            Pass(1);
            Look().Should().BeFalse();
        }
    }

    [Fact]
    public void An_idle_instance_is_not_silent()
    {
        Send();
        Head();
        _live.Release();
        for (var i = 0; i < 100; i++)
        {
            Pass(1);
            Look().Should().BeFalse();
        }
    }

    private void Send()
    {
        _live.TryReserve().Should().BeTrue();
        _live.CountRequest();
    }

    private void Head() => _live.RecordResponseTime(0.1);

    private bool Look() => _watch.FallsSilent(_time);

    private void Pass(double seconds) => _time.Advance(TimeSpan.FromSeconds(seconds));

    private double SecondsToSilence()
    {
        for (var waited = 0.25; waited < 60; waited += 0.25)
        {
            Pass(0.25);
            if (Look())
                return waited;
        }

        return double.PositiveInfinity;
    }
}
