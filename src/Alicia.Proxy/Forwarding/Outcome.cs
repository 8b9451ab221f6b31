using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Forwarding;

/// <summary>Whose fault an unfinished exchange is.</summary>
internal enum FaultSide
{
    Caller,
    Instance,
    Proxy,
}

/// <summary>
/// Says of an unfinished exchange whose fault it was and what the caller is told, from what YARP and the HTTP client report. Pure, so that every row of the table
/// can be tested.
/// </summary>
/// <param name="Side">Whose fault.</param>
/// <param name="Error">What the caller is told if the response has not begun; null when there is nobody to tell.</param>
internal readonly record struct Outcome(FaultSide Side, ProxyError? Error)
{
    /// <summary>True when the caller ended its connection in the middle of its request. It is told so all the same, as it may still listen.</summary>
    public bool CallerLeft { get; init; }

    /// <summary>What the HTTP client said, where nobody else keeps it.</summary>
    public Exception? Cause { get; init; }

    /// <param name="error">What YARP says.</param>
    /// <param name="exception">What the HTTP client, or the server, says.</param>
    /// <param name="context">The request.</param>
    /// <param name="deadlinePassed">Whether the exchange was ended because its time was up.</param>
    /// <param name="waitedForCaller">Whether it was the caller that owed the next bytes, of its body, at the end.</param>
    public static Outcome Of(ForwarderError error, Exception? exception, HttpContext context, bool deadlinePassed, bool waitedForCaller = false)
    {
        // These two come before the look at RequestAborted: YARP has aborted the request by now because of them.
        if (error == ForwarderError.ResponseBodyDestination)
            return new Outcome(FaultSide.Instance, OfException(exception));
        if (deadlinePassed && !waitedForCaller)
            return new Outcome(FaultSide.Instance, ProxyError.ResponseTimeout);
        if (context.RequestAborted.IsCancellationRequested)
            return new Outcome(FaultSide.Caller, null);
        if (waitedForCaller && (deadlinePassed || error is ForwarderError.RequestTimedOut or ForwarderError.RequestBodyCanceled
            || (error == ForwarderError.RequestBodyClient && Find<OperationCanceledException>(exception) is not null)))
        {
            return new Outcome(FaultSide.Caller, ProxyError.BadRequest(StatusCodes.Status408RequestTimeout));
        }

        return error switch
        {
            ForwarderError.RequestTimedOut => new Outcome(FaultSide.Instance, Find<UpstreamConnectException>(exception) is { } c ? Of(c) : ProxyError.ResponseTimeout),
            ForwarderError.RequestCreation => new Outcome(FaultSide.Caller, ProxyError.BadRequest(StatusCodes.Status400BadRequest)),
            ForwarderError.RequestBodyClient => new Outcome(FaultSide.Caller,
                ProxyError.BadRequest(Find<BadHttpRequestException>(exception)?.StatusCode ?? StatusCodes.Status400BadRequest))
            {
                CallerLeft = IsEndOfCaller(exception, context.Request),
            },
            ForwarderError.RequestCanceled or ForwarderError.RequestBodyCanceled or ForwarderError.UpgradeRequestCanceled or ForwarderError.UpgradeResponseCanceled
                or ForwarderError.ResponseBodyClient or ForwarderError.UpgradeRequestClient => new Outcome(FaultSide.Caller, null),
            // The instance switched protocols where nobody had asked; or, once begun, the caller left.
            ForwarderError.UpgradeResponseClient => context.Response.HasStarted
                ? new Outcome(FaultSide.Caller, null)
                : new Outcome(FaultSide.Instance, ProxyError.UpgradeFailed),
            ForwarderError.ResponseBodyCanceled => new Outcome(FaultSide.Instance, ProxyError.ResponseTimeout),
            ForwarderError.ResponseHeaders => new Outcome(FaultSide.Instance, ProxyError.ProtocolError),
            ForwarderError.UpgradeActivityTimeout => new Outcome(FaultSide.Caller, null),
            ForwarderError.NoAvailableDestinations => new Outcome(FaultSide.Proxy, ProxyError.Internal),
            _ => new Outcome(FaultSide.Instance, OfException(exception)),
        };
    }

    /// <summary>
    /// The end of a connection often shows in the body before the server calls the request aborted. Of a body with a length, the one thing that can be wrong with a 400 is that it is
    /// not all there.
    /// </summary>
    private static bool IsEndOfCaller(Exception? exception, HttpRequest request) => Find<BadHttpRequestException>(exception) is { } bad
        ? bad.StatusCode == StatusCodes.Status400BadRequest && request.ContentLength is not null
        : Find<IOException>(exception) is not null;

    /// <summary>The answer for a connection that could not be opened.</summary>
    public static ProxyError Of(UpstreamConnectException e) => e.Failure switch
    {
        ConnectFailure.Refused => ProxyError.ConnectionRefused,
        ConnectFailure.TimedOut => ProxyError.ConnectionTimeout,
        ConnectFailure.DnsError => ProxyError.DnsError,
        ConnectFailure.DnsTimeout => ProxyError.DnsTimeout,
        ConnectFailure.Prohibited => ProxyError.Prohibited,
        ConnectFailure.TlsProtocol => ProxyError.TlsProtocol,
        ConnectFailure.TlsCertificate => ProxyError.TlsCertificate,
        _ => ProxyError.Internal,
    };

    /// <summary>What an error before the response head says of the instance.</summary>
    public static AttemptFailure FailureOf(ProxyError? error) => error switch
    {
        _ when error == ProxyError.ResponseTimeout => AttemptFailure.Timeout,
        _ when error == ProxyError.ConnectionTerminated => AttemptFailure.Reset,
        _ when error == ProxyError.ProtocolError || error == ProxyError.UpgradeFailed => AttemptFailure.Protocol,
        null => AttemptFailure.Reset,
        _ => AttemptFailure.Connect,
    };

    /// <summary>Names the service and the instance that the answer is about.</summary>
    public static string Detail(string service, UpstreamEndpoint endpoint) => $"Instance '{endpoint.InstanceId}' of service '{service}'.";

    /// <summary>What of an exception may be logged: why there was no connection. The HTTP client's words about an answer repeat the answer's fields.</summary>
    public static Exception? ConnectFailureOf(Exception? exception) => Find<UpstreamConnectException>(exception);

    /// <summary>The answer for a failure that the HTTP client reports.</summary>
    public static ProxyError OfException(Exception? exception)
    {
        if (Find<UpstreamConnectException>(exception) is { } connect)
            return Of(connect);
        // An HTTP/2 instance that resets the stream or says goodbye has cut the exchange, unless it complains of the protocol itself.
        if (Find<HttpProtocolException>(exception) is { } http2)
            return http2.ErrorCode is ProtocolErrorCode or FlowControlErrorCode or FrameSizeErrorCode or CompressionErrorCode ? ProxyError.ProtocolError : ProxyError.ConnectionTerminated;
        return (Find<HttpRequestException>(exception)?.HttpRequestError ?? Find<HttpIOException>(exception)?.HttpRequestError) switch
        {
            HttpRequestError.InvalidResponse or HttpRequestError.VersionNegotiationError or HttpRequestError.ConfigurationLimitExceeded => ProxyError.ProtocolError,
            HttpRequestError.HttpProtocolError => ProxyError.ProtocolError,
            HttpRequestError.SecureConnectionError => ProxyError.TlsProtocol,
            HttpRequestError.ConnectionError => ProxyError.ConnectionRefused,
            HttpRequestError.ExtendedConnectNotSupported => ProxyError.UpgradeFailed,
            _ => ProxyError.ConnectionTerminated,
        };
    }

    // RFC 9113, section 7.
    private const long ProtocolErrorCode = 0x1;
    private const long FlowControlErrorCode = 0x3;
    private const long FrameSizeErrorCode = 0x6;
    private const long CompressionErrorCode = 0x9;

    /// <summary>The first exception of a kind in the chain of what was thrown.</summary>
    public static T? Find<T>(Exception? exception)
        where T : Exception
    {
        for (var depth = 0; exception is not null && depth < 16; depth++)
        {
            if (exception is T found)
                return found;
            if (exception is AggregateException many)
            {
                foreach (var inner in many.InnerExceptions)
                {
                    if (Find<T>(inner) is { } nested)
                        return nested;
                }

                return null;
            }

            exception = exception.InnerException;
        }

        return null;
    }
}
