using System.Diagnostics;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// What happened to one request, for those who tell of it afterwards: the access log and traces. There is one only for a request that somebody will tell of; the
/// forwarder fills it in on its way.
/// </summary>
/// <param name="at">When the request came.</param>
/// <param name="startedAt">The same as a <see cref="TimeProvider"/> timestamp.</param>
/// <param name="span">The request's server span; null when it is not traced.</param>
internal sealed class RequestRecord(DateTimeOffset at, long startedAt, Activity? span)
{
    private long _bytesIn;
    private long _bytesOut;
    private Activity? _attemptSpan;

    public DateTimeOffset At { get; } = at;

    public long StartedAt { get; } = startedAt;

    /// <summary>The request's server span; null when it is not traced.</summary>
    public Activity? Span { get; } = span;

    /// <summary>What the instance is told is the parent of its own spans; null when the caller's trace fields go through as they came.</summary>
    public Activity? Propagated => _attemptSpan ?? Span;

    /// <summary>Null while no service is found.</summary>
    public string? Service { get; private set; }

    /// <summary>The instance of the last attempt; null when none was chosen.</summary>
    public UpstreamEndpoint? Endpoint { get; private set; }

    /// <summary>The address of the last attempt; null when there was none or its name did not resolve.</summary>
    public AddressSlot? Slot { get; set; }

    /// <summary>How often the request was given to an instance; 0 when it was refused.</summary>
    public int Attempts { get; private set; }

    /// <summary>Status of the instance's response head in the last attempt; 0 when none came.</summary>
    public int HeadStatus { get; private set; }

    /// <summary>When the response head came, as a timestamp; 0 when none did.</summary>
    public long HeadAt { get; private set; }

    /// <summary>Null until it is known.</summary>
    public RequestOutcome? Outcome { get; private set; }

    /// <summary>The error that the proxy answered with; null when the answer is an instance's.</summary>
    public ProxyError? Error { get; private set; }

    /// <summary>Bytes of the request's body, or of the caller's side of an upgraded connection, that were read.</summary>
    public long BytesIn => Volatile.Read(ref _bytesIn);

    /// <summary>Bytes of the answer's body, or of the instance's side of an upgraded connection, that were read for the caller.</summary>
    public long BytesOut => Volatile.Read(ref _bytesOut);

    /// <summary>The request's record, or null when nobody will tell of it.</summary>
    public static RequestRecord? Of(HttpContext context) => context.Features.Get<RequestRecord>();

    public void ServiceFound(Upstream upstream) => Service = upstream.Name;

    /// <summary>The request goes to an instance now. What became of an attempt before this one is not what the request comes to.</summary>
    public void BeginAttempt(HttpContext context, UpstreamEndpoint endpoint, string target)
    {
        Attempts++;
        (Endpoint, Slot, HeadStatus, HeadAt, Outcome, Error) = (endpoint, null, 0, 0, null, null);
        if (Span is not null)
            _attemptSpan = RequestSpans.StartAttempt(Span, context, Service!, endpoint, target, Attempts);
    }

    /// <summary>The instance has nothing more to do for the request.</summary>
    /// <param name="error">What kept it from answering; null when its answer went to the caller, or nobody was there to take one.</param>
    public void EndAttempt(ProxyError? error)
    {
        if (_attemptSpan is null)
            return;
        RequestSpans.EndAttempt(_attemptSpan, this, error);
        _attemptSpan = null;
    }

    public void HeadCame(int status, long timestamp) => (HeadStatus, HeadAt) = (status, timestamp);

    /// <summary>Says what came of the request. What was said first stays: later trouble follows from it.</summary>
    public void CameTo(RequestOutcome outcome) => Outcome ??= outcome;

    /// <summary>The proxy answers with <paramref name="error"/>.</summary>
    public void Answered(ProxyError error)
    {
        Error = error;
        CameTo(error.Status == StatusCodes.Status500InternalServerError ? RequestOutcome.Error : RequestOutcome.Rejected);
    }

    public void CountIn(int bytes) => Interlocked.Add(ref _bytesIn, bytes);

    public void CountOut(int bytes) => Interlocked.Add(ref _bytesOut, bytes);
}
