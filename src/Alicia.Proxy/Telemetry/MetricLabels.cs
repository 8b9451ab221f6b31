using Alicia.Proxy.Live;
using Alicia.Proxy.ProxyProtocol;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Tls;

namespace Alicia.Proxy.Telemetry;

/// <summary>How states and outcomes are written as metric labels. Dashboards and alerts are written against these words: a test pins each.</summary>
internal static class MetricLabels
{
    // A word that is missing shall stop the build (CS8509), which a default arm would hide. CS8524 only asks for an arm for numbers that are
    // no value of the enum; those throw.
#pragma warning disable CS8524
    public static string Of(CodeClass code) => code switch
    {
        CodeClass.None => "none",
        CodeClass.Switched => "1xx",
        CodeClass.Successful => "2xx",
        CodeClass.Redirected => "3xx",
        CodeClass.ClientError => "4xx",
        CodeClass.ServerError => "5xx",
    };

    public static string Of(RequestOutcome outcome) => outcome switch
    {
        RequestOutcome.Success => "success",
        RequestOutcome.Failure => "failure",
        RequestOutcome.Aborted => "aborted",
        RequestOutcome.Rejected => "rejected",
        RequestOutcome.Error => "error",
    };

    /// <summary>The error type of <c>Proxy-Status</c> that such a request is answered with.</summary>
    public static string Of(RejectReason reason) => reason switch
    {
        RejectReason.UnknownService => "destination_not_found",
        RejectReason.NoInstance => "destination_unavailable",
        RejectReason.AllFull => "connection_limit_reached",
        RejectReason.Loop => "proxy_loop_detected",
        RejectReason.BadRequest => "http_request_error",
        RejectReason.RateLimited => "http_request_denied",
    };

    public static string Of(RetryReason reason) => reason switch
    {
        RetryReason.Unsent => "unsent",
        RetryReason.Reset => "reset",
        RetryReason.Timeout => "timeout",
        RetryReason.Status => "status",
        RetryReason.Trial => "trial",
    };

    public static string Of(InstanceState state) => state switch
    {
        InstanceState.Pending => "pending",
        InstanceState.Active => "active",
        InstanceState.Draining => "draining",
    };

    public static string Of(HandshakeFailure failure) => failure switch
    {
        HandshakeFailure.NoHello => "no_hello",
        HandshakeFailure.UnknownName => "unknown_name",
        HandshakeFailure.Timeout => "timeout",
        HandshakeFailure.Protocol => "protocol",
    };

    public static string Of(ProxyHeaderRefusal refusal) => refusal switch
    {
        ProxyHeaderRefusal.Untrusted => "untrusted",
        ProxyHeaderRefusal.Malformed => "malformed",
        ProxyHeaderRefusal.Missing => "missing",
        ProxyHeaderRefusal.Timeout => "timeout",
    };
#pragma warning restore CS8524
}
