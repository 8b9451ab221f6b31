namespace Alicia.Proxy.Connections;

/// <summary>Why no connection to an instance could be opened; each kind is one error type of RFC 9209.</summary>
internal enum ConnectFailure
{
    Refused,
    TimedOut,
    DnsError,
    DnsTimeout,
    Prohibited,
    TlsProtocol,
    TlsCertificate,
}

/// <summary>A connection to an instance could not be opened.</summary>
internal sealed class UpstreamConnectException(ConnectFailure failure, string message, Exception? inner = null) : UnsentException(message, inner)
{
    public ConnectFailure Failure { get; } = failure;
}
