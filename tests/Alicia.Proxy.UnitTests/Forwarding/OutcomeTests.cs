using Alicia.Proxy.Connections;
using Alicia.Proxy.Forwarding;
using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.UnitTests.Forwarding;

public sealed class OutcomeTests
{
    [Theory]
    [InlineData(ForwarderError.RequestTimedOut, "Instance", "http_response_timeout")]
    [InlineData(ForwarderError.ResponseBodyCanceled, "Instance", "http_response_timeout")]
    [InlineData(ForwarderError.ResponseHeaders, "Instance", "http_protocol_error")]
    [InlineData(ForwarderError.Request, "Instance", "connection_terminated")]
    [InlineData(ForwarderError.RequestBodyDestination, "Instance", "connection_terminated")]
    [InlineData(ForwarderError.ResponseBodyDestination, "Instance", "connection_terminated")]
    [InlineData(ForwarderError.UpgradeRequestDestination, "Instance", "connection_terminated")]
    [InlineData(ForwarderError.UpgradeResponseDestination, "Instance", "connection_terminated")]
    [InlineData(ForwarderError.RequestCreation, "Caller", "http_request_error")]
    [InlineData(ForwarderError.RequestBodyClient, "Caller", "http_request_error")]
    [InlineData(ForwarderError.RequestCanceled, "Caller", null)]
    [InlineData(ForwarderError.RequestBodyCanceled, "Caller", null)]
    [InlineData(ForwarderError.ResponseBodyClient, "Caller", null)]
    [InlineData(ForwarderError.UpgradeRequestCanceled, "Caller", null)]
    [InlineData(ForwarderError.UpgradeRequestClient, "Caller", null)]
    [InlineData(ForwarderError.UpgradeResponseCanceled, "Caller", null)]
    [InlineData(ForwarderError.UpgradeResponseClient, "Instance", "http_upgrade_failed")]
    [InlineData(ForwarderError.UpgradeActivityTimeout, "Caller", null)]
    [InlineData(ForwarderError.NoAvailableDestinations, "Proxy", "proxy_internal_error")]
    public void Every_error_of_the_forwarder_is_somebodys(ForwarderError error, string side, string? type)
    {
        var outcome = Outcome.Of(error, null, new DefaultHttpContext(), deadlinePassed: false);
        (outcome.Side.ToString(), outcome.Error?.Type).Should().Be((side, type));
    }

    [Fact]
    public void The_table_above_has_a_row_for_every_error_there_is()
    {
        var rows = typeof(OutcomeTests).GetMethod(nameof(Every_error_of_the_forwarder_is_somebodys))!
            .GetCustomAttributesData().SelectMany(a => a.ConstructorArguments).Select(a => (IReadOnlyList<System.Reflection.CustomAttributeTypedArgument>)a.Value!)
            .Select(row => (ForwarderError)(int)row[0].Value!);
        rows.Should().BeEquivalentTo(Enum.GetValues<ForwarderError>().Where(e => e != ForwarderError.None).Distinct());
    }

    [Theory]
    [InlineData("Refused", 502, "connection_refused")]
    [InlineData("TimedOut", 504, "connection_timeout")]
    [InlineData("DnsError", 502, "dns_error")]
    [InlineData("DnsTimeout", 504, "dns_timeout")]
    [InlineData("Prohibited", 502, "destination_ip_prohibited")]
    [InlineData("TlsProtocol", 502, "tls_protocol_error")]
    [InlineData("TlsCertificate", 502, "tls_certificate_error")]
    public void A_connection_that_could_not_be_opened_is_told_as_what_it_was_however_deep_it_is_wrapped(string failure, int status, string type)
    {
        var exception = new UpstreamConnectException(Enum.Parse<ConnectFailure>(failure), "no");
        Exception[] wrapped =
        [
            exception,
            new HttpRequestException(HttpRequestError.ConnectionError, "x", exception),
            new HttpRequestException("x", new AggregateException(new IOException("y"), new InvalidOperationException("z", exception))),
        ];
        foreach (var one in wrapped)
        {
            foreach (var error in new[] { ForwarderError.Request, ForwarderError.RequestTimedOut })
            {
                var outcome = Outcome.Of(error, one, new DefaultHttpContext(), deadlinePassed: false);
                (outcome.Side, outcome.Error!.Status, outcome.Error.Type).Should().Be((FaultSide.Instance, status, type));
            }
        }

        Enum.GetValues<ConnectFailure>().Should().HaveCount(7, "each has a row above");
    }

    [Theory]
    [InlineData(HttpRequestError.InvalidResponse, "http_protocol_error")]
    [InlineData(HttpRequestError.HttpProtocolError, "http_protocol_error")]
    [InlineData(HttpRequestError.VersionNegotiationError, "http_protocol_error")]
    [InlineData(HttpRequestError.ConfigurationLimitExceeded, "http_protocol_error")]
    [InlineData(HttpRequestError.SecureConnectionError, "tls_protocol_error")]
    [InlineData(HttpRequestError.ConnectionError, "connection_refused")]
    [InlineData(HttpRequestError.ExtendedConnectNotSupported, "http_upgrade_failed")]
    [InlineData(HttpRequestError.ResponseEnded, "connection_terminated")]
    [InlineData(HttpRequestError.Unknown, "connection_terminated")]
    public void What_the_HTTP_client_reports_is_told_as_what_it_was(HttpRequestError error, string type)
    {
        var outcome = Outcome.Of(ForwarderError.Request, new HttpRequestException(error, "x"), new DefaultHttpContext(), deadlinePassed: false);
        (outcome.Side, outcome.Error!.Type).Should().Be((FaultSide.Instance, type));
    }

    [Theory]
    [InlineData(413)]
    [InlineData(408)]
    public void A_body_that_could_not_be_read_keeps_the_servers_status(int status) =>
        Outcome.Of(ForwarderError.RequestBodyClient, new IOException("x", new BadHttpRequestException("too large", status)), new DefaultHttpContext(), deadlinePassed: false)
            .Error!.Status.Should().Be(status);

    [Fact]
    public void When_the_deadline_has_passed_the_instance_was_too_slow_whatever_broke_then()
    {
        // A body that the instance broke off is told apart: it was not slow.
        foreach (var error in Enum.GetValues<ForwarderError>().Except([ForwarderError.ResponseBodyDestination]))
            Outcome.Of(error, null, new DefaultHttpContext(), deadlinePassed: true).Should().Be(new Outcome(FaultSide.Instance, ProxyError.ResponseTimeout));
    }

    [Fact]
    public void When_the_caller_has_gone_it_is_nobody_elses_fault_and_there_is_nobody_to_tell()
    {
        var gone = new DefaultHttpContext { RequestAborted = new CancellationToken(canceled: true) };
        // After a body that the instance broke off, and after a deadline, it was the proxy that ended the caller's request.
        foreach (var error in Enum.GetValues<ForwarderError>().Except([ForwarderError.ResponseBodyDestination]))
            Outcome.Of(error, new UpstreamConnectException(ConnectFailure.Refused, "no"), gone, deadlinePassed: false).Should().Be(new Outcome(FaultSide.Caller, null));
    }
}
