
namespace Alicia.Proxy.Forwarding;

/// <summary>
/// An answer that the proxy makes itself: HTTP status, error type of RFC 9209, gRPC status for gRPC callers, and a title. The table of the data plane, one
/// entry a row.
/// </summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Type">Error type in <c>Proxy-Status</c>.</param>
/// <param name="GrpcStatus">Status for <c>application/grpc</c>.</param>
/// <param name="Title">Short and the same for every occurrence.</param>
/// <param name="RetryAfterSeconds">Value of <c>Retry-After</c>, or 0 for none.</param>
internal sealed record ProxyError(int Status, string Type, int GrpcStatus, string Title, int RetryAfterSeconds = 0)
{
    private const int GrpcDeadlineExceeded = 4;
    private const int GrpcResourceExhausted = 8;
    private const int GrpcUnimplemented = 12;
    private const int GrpcUnavailable = 14;

    public static readonly ProxyError UnknownService = new(404, "destination_not_found", GrpcUnimplemented, "Unknown service");
    public static readonly ProxyError NoInstance = new(503, "destination_unavailable", GrpcUnavailable, "No instance available", 1);
    public static readonly ProxyError AllFull = new(503, "connection_limit_reached", GrpcResourceExhausted, "All instances are at their connection limit", 1);
    public static readonly ProxyError ConnectionRefused = new(502, "connection_refused", GrpcUnavailable, "Instance refused the connection");
    public static readonly ProxyError ConnectionTerminated = new(502, "connection_terminated", GrpcUnavailable, "Instance closed the connection before it answered");
    public static readonly ProxyError ConnectionTimeout = new(504, "connection_timeout", GrpcDeadlineExceeded, "Instance did not accept the connection in time");
    public static readonly ProxyError ResponseTimeout = new(504, "http_response_timeout", GrpcDeadlineExceeded, "Instance did not answer in time");
    public static readonly ProxyError ProtocolError = new(502, "http_protocol_error", GrpcUnavailable, "Instance's answer could not be understood");
    public static readonly ProxyError UpgradeFailed = new(502, "http_upgrade_failed", GrpcUnavailable, "Upgrade failed");
    public static readonly ProxyError DnsError = new(502, "dns_error", GrpcUnavailable, "Instance's name does not resolve");
    public static readonly ProxyError DnsTimeout = new(504, "dns_timeout", GrpcDeadlineExceeded, "Instance's name did not resolve in time");
    public static readonly ProxyError Prohibited = new(502, "destination_ip_prohibited", GrpcUnavailable, "Instance's address is not allowed");
    public static readonly ProxyError TlsProtocol = new(502, "tls_protocol_error", GrpcUnavailable, "TLS with the instance failed");
    public static readonly ProxyError TlsCertificate = new(502, "tls_certificate_error", GrpcUnavailable, "Instance's certificate is not trusted");
    public static readonly ProxyError Loop = new(508, "proxy_loop_detected", GrpcUnavailable, "Request came back to this proxy");
    public static readonly ProxyError RateLimited = new(429, "http_request_denied", GrpcUnavailable, "Too many requests", 1);
    public static readonly ProxyError Internal = new(500, "proxy_internal_error", GrpcUnavailable, "The proxy failed");

    /// <summary>The request itself is refused: 400, 405, 408, 413, 414, 431 or 505.</summary>
    public static ProxyError BadRequest(int status) => new(status, "http_request_error", GrpcUnavailable, status switch
    {
        StatusCodes.Status405MethodNotAllowed => "Method not allowed",
        StatusCodes.Status408RequestTimeout => "Request was not complete in time",
        StatusCodes.Status413PayloadTooLarge => "Request body too large",
        StatusCodes.Status414UriTooLong => "Request target too long",
        StatusCodes.Status431RequestHeaderFieldsTooLarge => "Request fields too large",
        StatusCodes.Status505HttpVersionNotsupported => "HTTP version not supported",
        _ => "Bad request",
    });
}
