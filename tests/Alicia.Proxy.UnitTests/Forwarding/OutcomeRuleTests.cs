using Alicia.Proxy.Connections;
using Alicia.Proxy.Forwarding;
using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.UnitTests.Forwarding;

/// <summary>Whose fault an unfinished exchange is, for the cases that no instance can bring about at will.</summary>
public sealed class OutcomeRuleTests
{
    [Fact]
    public void Each_reason_why_no_connection_opened_has_its_own_answer()
    {
        var answers = Enum.GetValues<ConnectFailure>().Select(failure => Outcome.Of(new UpstreamConnectException(failure, "x"))).ToArray();

        answers.Select(answer => (answer.Status, answer.Type)).Should().Equal(
            (502, "connection_refused"), (504, "connection_timeout"), (502, "dns_error"), (504, "dns_timeout"), (502, "destination_ip_prohibited"),
            (502, "tls_protocol_error"), (502, "tls_certificate_error"));
        answers.Select(answer => answer.GrpcStatus).Should().Equal(14, 4, 14, 4, 14, 14, 14);
    }

    [Fact]
    public void The_reason_is_found_inside_other_exceptions()
    {
        var refused = new UpstreamConnectException(ConnectFailure.DnsTimeout, "x");

        Outcome.OfException(new AggregateException(new InvalidOperationException("x"), new HttpRequestException("x", refused))).Should().Be(ProxyError.DnsTimeout);
    }

    [Theory]
    [InlineData(HttpRequestError.InvalidResponse, "http_protocol_error")]
    [InlineData(HttpRequestError.ConfigurationLimitExceeded, "http_protocol_error")]
    [InlineData(HttpRequestError.ResponseEnded, "connection_terminated")]
    public void What_the_HTTP_client_says_of_a_body_counts_like_what_it_says_of_a_head(HttpRequestError error, string type)
    {
        Outcome.OfException(new HttpIOException(error)).Type.Should().Be(type);
        Outcome.OfException(new HttpRequestException(error)).Type.Should().Be(type);
    }

    [Theory]
    [InlineData(0x2, "connection_terminated")]
    [InlineData(0x8, "connection_terminated")]
    [InlineData(0x0, "connection_terminated")]
    [InlineData(0x1, "http_protocol_error")]
    [InlineData(0x9, "http_protocol_error")]
    public void An_HTTP_2_instance_that_resets_has_cut_the_exchange_unless_the_protocol_was_broken(long code, string type)
    {
        Outcome.OfException(new HttpRequestException("x", new HttpProtocolException(code, "x", null))).Type.Should().Be(type);
    }

    [Fact]
    public void What_the_proxy_did_wrong_is_its_own_fault()
    {
        var outcome = Outcome.Of(ForwarderError.NoAvailableDestinations, null, new DefaultHttpContext(), deadlinePassed: false);

        outcome.Side.Should().Be(FaultSide.Proxy);
        (outcome.Error!.Status, outcome.Error.Type, outcome.Error.GrpcStatus).Should().Be((500, "proxy_internal_error", 14));
    }

    [Theory]
    [InlineData(ForwarderError.ResponseBodyDestination, false, true, "Instance")]
    [InlineData(ForwarderError.ResponseBodyCanceled, true, true, "Instance")]
    [InlineData(ForwarderError.ResponseBodyCanceled, false, true, "Caller")]
    [InlineData(ForwarderError.RequestTimedOut, false, false, "Instance")]
    [InlineData(ForwarderError.RequestCanceled, false, true, "Caller")]
    public void A_request_that_was_aborted_because_of_the_instance_is_the_instances_fault(ForwarderError error, bool deadlinePassed, bool aborted, string side)
    {
        using var abort = new CancellationTokenSource();
        if (aborted)
            abort.Cancel();
        var context = new DefaultHttpContext { RequestAborted = abort.Token };

        Outcome.Of(error, null, context, deadlinePassed).Side.ToString().Should().Be(side);
    }

    [Theory]
    [InlineData(ForwarderError.RequestTimedOut, false)]
    [InlineData(ForwarderError.RequestBodyCanceled, false)]
    [InlineData(ForwarderError.RequestCanceled, true)]
    [InlineData(ForwarderError.RequestBodyClient, false)]
    public void A_caller_that_owed_bytes_when_time_was_up_gets_408(ForwarderError error, bool deadlinePassed)
    {
        var outcome = Outcome.Of(error, new OperationCanceledException(), new DefaultHttpContext(), deadlinePassed, waitedForCaller: true);

        (outcome.Side, outcome.Error!.Status, outcome.Error.Type).Should().Be((FaultSide.Caller, 408, "http_request_error"));
    }

    [Fact]
    public void Every_refusal_of_a_request_is_unavailable_to_gRPC()
    {
        new[] { 400, 405, 408, 413, 414, 431 }.Select(status => ProxyError.BadRequest(status).GrpcStatus).Should().AllBeEquivalentTo(14);
    }
}
