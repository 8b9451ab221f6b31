using Alicia.Proxy.Balancing;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// One caller's request for one service, from its admission to the end of its answer, over all attempts at instances. What is counted of the service once a request is counted here;
/// what belongs to an attempt is its <see cref="Exchange"/>'s.
/// </summary>
/// <param name="context">The request.</param>
/// <param name="upstream">Its service.</param>
/// <param name="target">Raw path and query for the instance.</param>
/// <param name="strippedPrefix">What was taken off the front of the path, or empty.</param>
/// <param name="time">The clock.</param>
internal sealed class CallerRequest(HttpContext context, Upstream upstream, string target, string strippedPrefix, TimeProvider time)
{
    private readonly long _startedAt = time.GetTimestamp();
    private bool _entered;
    private bool _failed;
    private bool _measured;

    public HttpContext Context => context;

    public Upstream Upstream => upstream;

    public string Target => target;

    public string StrippedPrefix => strippedPrefix;

    /// <summary>What an in-line caller changes; null on the data plane.</summary>
    public IInlineGuard? Guard { get; init; }

    /// <summary>What is told of the request afterwards; null when nobody will.</summary>
    public RequestRecord? Record { get; init; }

    /// <summary>The request has an instance: it is in flight from now on.</summary>
    public void Enter()
    {
        if (_entered)
            return;
        _entered = true;
        upstream.Live.Enter();
    }

    /// <summary>The caller gets, or would get, an instance's failure.</summary>
    public void CountFailure()
    {
        if (_failed)
            return;
        _failed = true;
        upstream.Live.CountFailure();
    }

    /// <summary>The first byte that matters is there: how long it took to here is the request's length. Later calls change nothing.</summary>
    public void Measure()
    {
        if (_measured)
            return;
        _measured = true;
        upstream.Live.RecordDuration(time.GetElapsedTime(_startedAt).TotalSeconds);
    }

    /// <summary>No instance has anything more to do for the request. Later calls change nothing.</summary>
    public void Leave()
    {
        if (!_entered)
            return;
        _entered = false;
        Measure();
        upstream.Live.Leave();
    }
}
