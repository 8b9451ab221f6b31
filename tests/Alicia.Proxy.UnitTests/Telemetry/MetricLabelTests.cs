using Alicia.Proxy.Bus;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Health;
using Alicia.Proxy.Live;
using Alicia.Proxy.ProxyProtocol;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Telemetry;
using Alicia.Proxy.Tls;

namespace Alicia.Proxy.UnitTests.Telemetry;

/// <summary>Dashboards and alerts of users are written against these words: a change here breaks them without a sound.</summary>
public sealed class MetricLabelTests
{
    [Fact]
    public void Every_status_class_has_its_word() => Pin(MetricLabels.Of,
        (CodeClass.None, "none"), (CodeClass.Switched, "1xx"), (CodeClass.Successful, "2xx"), (CodeClass.Redirected, "3xx"), (CodeClass.ClientError, "4xx"), (CodeClass.ServerError, "5xx"));

    [Fact]
    public void Every_outcome_has_its_word() => Pin(MetricLabels.Of,
        (RequestOutcome.Success, "success"), (RequestOutcome.Failure, "failure"), (RequestOutcome.Aborted, "aborted"), (RequestOutcome.Rejected, "rejected"), (RequestOutcome.Error, "error"));

    [Fact]
    public void Every_refusal_has_the_word_of_Proxy_Status()
    {
        Pin(MetricLabels.Of,
            (RejectReason.UnknownService, "destination_not_found"), (RejectReason.NoInstance, "destination_unavailable"), (RejectReason.AllFull, "connection_limit_reached"),
            (RejectReason.Loop, "proxy_loop_detected"), (RejectReason.BadRequest, "http_request_error"), (RejectReason.RateLimited, "http_request_denied"));
        Enum.GetValues<RejectReason>().Select(MetricLabels.Of).Should().Equal(
            ProxyError.UnknownService.Type, ProxyError.NoInstance.Type, ProxyError.AllFull.Type, ProxyError.Loop.Type, ProxyError.BadRequest(400).Type, ProxyError.RateLimited.Type);
    }

    [Fact]
    public void Every_state_of_an_instance_has_its_word() => Pin(MetricLabels.Of,
        (InstanceState.Pending, "pending"), (InstanceState.Active, "active"), (InstanceState.Draining, "draining"));

    [Fact]
    public void Every_failure_of_a_handshake_has_its_word() => Pin(MetricLabels.Of,
        (HandshakeFailure.NoHello, "no_hello"), (HandshakeFailure.UnknownName, "unknown_name"), (HandshakeFailure.Timeout, "timeout"), (HandshakeFailure.Protocol, "protocol"));

    [Fact]
    public void Every_refusal_of_a_PROXY_header_has_its_word() => Pin(MetricLabels.Of,
        (ProxyHeaderRefusal.Untrusted, "untrusted"), (ProxyHeaderRefusal.Malformed, "malformed"), (ProxyHeaderRefusal.Missing, "missing"), (ProxyHeaderRefusal.Timeout, "timeout"));

    [Fact]
    public void Every_state_of_a_circuit_has_its_word() => Pin(CircuitNames.Of,
        (CircuitState.Closed, "closed"), (CircuitState.Open, "open"), (CircuitState.HalfOpen, "half_open"));

    [Fact]
    public void Every_reason_of_a_circuit_has_its_word() => Pin(CircuitNames.Of,
        (CircuitReason.ConnectErrors, "connect_errors"), (CircuitReason.Timeouts, "timeouts"), (CircuitReason.Resets, "resets"), (CircuitReason.ProtocolErrors, "protocol_errors"),
        (CircuitReason.FailureStatuses, "failure_statuses"), (CircuitReason.GrpcUnavailable, "grpc_unavailable"),
        (CircuitReason.SuccessRate, "success_rate"), (CircuitReason.Latency, "latency"), (CircuitReason.ProbesFailed, "probes_failed"),
        (CircuitReason.ProbesPassed, "probes_passed"), (CircuitReason.RecoveryTimeOver, "recovery_time_over"), (CircuitReason.TrialFailed, "trial_failed"),
        (CircuitReason.TrialsSucceeded, "trials_succeeded"), (CircuitReason.Operator, "operator"));

    [Fact]
    public void Every_result_of_a_probe_has_its_word()
    {
        ProbeNames.Of(null).Should().Be("probe_passed");
        Pin(f => ProbeNames.Of(f),
            (ProbeFailure.Dns, "probe_dns"), (ProbeFailure.Prohibited, "probe_prohibited"), (ProbeFailure.Refused, "probe_refused"), (ProbeFailure.Tls, "probe_tls"),
            (ProbeFailure.Timeout, "probe_timeout"), (ProbeFailure.Reset, "probe_reset"), (ProbeFailure.Protocol, "probe_protocol"), (ProbeFailure.Status, "probe_status"),
            (ProbeFailure.Body, "probe_body"), (ProbeFailure.NotServing, "probe_not_serving"));
    }

    [Fact]
    public void Every_reason_of_the_bus_has_its_word() => Pin(BusReasons.Name,
        (BusReason.BadJson, "bad_json"), (BusReason.Oversized, "oversized"), (BusReason.BadField, "bad_field"), (BusReason.Expired, "expired"), (BusReason.MaxHops, "max_hops"),
        (BusReason.NoAddress, "no_address"), (BusReason.UnknownService, "unknown_service"), (BusReason.UnknownInstance, "unknown_instance"),
        (BusReason.AmbiguousInstance, "ambiguous_instance"), (BusReason.UnknownCommand, "unknown_command"), (BusReason.Retained, "retained"),
        (BusReason.Conflict, "conflict"), (BusReason.StoreUnavailable, "store_unavailable"), (BusReason.QueueFull, "queue_full"), (BusReason.Internal, "internal"),
        (BusReason.Own, "own"), (BusReason.Device, "device"), (BusReason.OtherStatus, "other_status"), (BusReason.UnclearEvidence, "unclear_evidence"));

    [Theory]
    [InlineData(0, "none")]
    [InlineData(101, "1xx")]
    [InlineData(204, "2xx")]
    [InlineData(304, "3xx")]
    [InlineData(418, "4xx")]
    [InlineData(503, "5xx")]
    [InlineData(799, "5xx")]
    public void A_status_belongs_to_its_hundred(int status, string label) => MetricLabels.Of(RequestCounts.ClassOf(status)).Should().Be(label);

    [Fact]
    public void Every_cell_counts_for_itself()
    {
        var counts = new RequestCounts();
        counts.Used().Should().Be(0);
        RequestCounts.Cells.Should().Be(Enum.GetValues<CodeClass>().Length * Enum.GetValues<RequestOutcome>().Length).And.BeLessThan(32);
        var expected = 0;
        foreach (var code in Enum.GetValues<CodeClass>())
        {
            foreach (var outcome in Enum.GetValues<RequestOutcome>())
            {
                expected++;
                for (var i = 0; i < expected; i++)
                    counts.Count(code, outcome);
            }
        }

        Enumerable.Range(0, RequestCounts.Cells).Select(counts.Read).Should().Equal(Enumerable.Range(1, expected).Select(i => (long)i));
        counts.Used().Should().Be((1u << RequestCounts.Cells) - 1);
    }

    private static void Pin<T>(Func<T, string> label, params (T Value, string Word)[] table)
        where T : struct, Enum
    {
        table.Select(t => t.Value).Should().Equal(Enum.GetValues<T>(), "every value has a row");
        table.Should().OnlyContain(t => label(t.Value) == t.Word);
    }
}
