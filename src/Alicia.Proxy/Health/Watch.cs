using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Health;

/// <summary>What the monitor keeps of one instance: how it is probed, what its probes said, who waits for the next, and whether requests cast doubt on it.</summary>
internal sealed class Watch(Instance instance, ProbeSettings settings, InstanceLive live, InstanceGate gate, UpstreamEndpoint endpoint)
{
    private readonly Lock _lock = new();
    private List<TaskCompletionSource<bool>> _waiting = [];
    private bool _doubted;
    private int _passesWaitedFor;
    private long _headsSeen;
    private long _requestsAtHead;
    private long _silentSince;

    public Instance Instance { get; set; } = instance;

    public ProbeSettings Settings { get; set; } = settings;

    /// <summary>The service's settings that <see cref="Settings"/> were made from; known by reference.</summary>
    public ServiceSettings? ServiceSettings { get; set; }

    public InstanceLive Live { get; } = live;

    public InstanceGate Gate { get; } = gate;

    public UpstreamEndpoint Endpoint { get; } = endpoint;

    /// <summary>Used by the one probe that runs at a time.</summary>
    public RiseFall Verdict { get; set; } = new();

    /// <summary>When the verdict became unhealthy; null while it is another.</summary>
    public DateTimeOffset? UnhealthySince { get; set; }

    /// <summary>Completes when the first probe has had its effect.</summary>
    public TaskCompletionSource First { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>True once the instance has left, or is no longer probed: what a probe still says changes nothing.</summary>
    public bool Ended { get; set; }

    /// <summary>A request met an instance that seems dead, or somebody said that it is: the next probe that finds the same decides.</summary>
    public void Doubt()
    {
        lock (_lock)
            _doubted = true;
    }

    /// <summary>True while a doubt waits for the next probe to begin.</summary>
    public bool IsDoubted
    {
        get
        {
            lock (_lock)
                return _doubted;
        }
    }

    /// <summary>Completes with the result of a probe that has not begun yet; false when there will be none.</summary>
    public Task<bool> NextAsync()
    {
        var waiter = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (Ended)
                return Task.FromResult(false);
            _waiting.Add(waiter);
        }

        return waiter.Task;
    }

    /// <summary>A probe begins: it answers those who wait now, and the doubts that there are now.</summary>
    public (List<TaskCompletionSource<bool>> Waiting, bool Doubted) Begin()
    {
        lock (_lock)
        {
            var begun = (_waiting, _doubted);
            (_waiting, _doubted) = ([], false);
            return begun;
        }
    }

    /// <summary>
    /// A probe passed that somebody waits for, because the instance says that it is back. As long as that is not enough for it to get requests, the probes that are missing follow
    /// at once, up to as many as bring an instance back.
    /// </summary>
    /// <returns>True when those who wait go on waiting, for the next probe.</returns>
    public bool GoesOn(List<TaskCompletionSource<bool>> waiting, int rise)
    {
        lock (_lock)
        {
            if (waiting.Count == 0 || Gate.Standing != GateStanding.Shut || Ended || ++_passesWaitedFor >= rise)
            {
                _passesWaitedFor = 0;
                return false;
            }

            _waiting.AddRange(waiting);
            return true;
        }
    }

    /// <summary>No probe will come any more.</summary>
    public void End()
    {
        List<TaskCompletionSource<bool>> waiting;
        lock (_lock)
        {
            Ended = true;
            (waiting, _waiting) = (_waiting, []);
        }

        First.TrySetResult();
        foreach (var waiter in waiting)
            waiter.TrySetResult(false);
    }

    /// <summary>
    /// True when requests have waited for a response head for most of a probe's timeout and not one has come: a probe that gets none either then makes two timeouts in all.
    /// Says so once per such time. Called by one thread, a few times a second.
    /// </summary>
    public bool FallsSilent(TimeProvider time)
    {
        const double MostOfTimeout = 0.75;
        var heads = Live.Heads;
        var requests = Live.TotalRequests;
        if (heads != _headsSeen || Live.InFlight == 0)
        {
            (_headsSeen, _requestsAtHead, _silentSince) = (heads, requests, 0);
            return false;
        }

        // Upgraded connections and long answers are in flight too, but have had their head.
        if (requests == _requestsAtHead)
            return false;
        if (_silentSince == 0)
        {
            _silentSince = time.GetTimestamp();
            return false;
        }

        if (time.GetElapsedTime(_silentSince) < Settings.Timeout * MostOfTimeout)
            return false;
        _silentSince = time.GetTimestamp();
        return true;
    }
}
