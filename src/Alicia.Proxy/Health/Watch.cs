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

    /// <summary>When the verdict became unhealthy, as a <see cref="TimeProvider"/> timestamp: a clock that jumps must age nobody. Null while it is another.</summary>
    public long? UnhealthySince { get; set; }

    /// <summary>Completes when the first probe has had its effect.</summary>
    public TaskCompletionSource First { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Held while a result is taken in, and while probing is switched on or off: a result counts whole or not at all.</summary>
    public Lock Judging { get; } = new();

    /// <summary>True while the instance is being admitted.</summary>
    public bool Admitting { get; set; }

    /// <summary>True once the instance has left: what a probe still says changes nothing.</summary>
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

    /// <summary>True while somebody waits for a probe that has not begun.</summary>
    public bool IsAwaited
    {
        get
        {
            lock (_lock)
                return _waiting.Count > 0;
        }
    }

    /// <summary>Completes with the result of a probe that has not begun yet; cancelled when there will be none. All who wait for the same probe share a task.</summary>
    public Task<bool> NextAsync()
    {
        lock (_lock)
        {
            if (Ended)
                return Task.FromCanceled<bool>(new CancellationToken(canceled: true));
            if (_waiting.Count == 0)
                _waiting.Add(new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously));
            return _waiting[0].Task;
        }
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

    /// <summary>No probe will come for now: nobody probes the instance any more. Who waits for one learns that there is no verdict.</summary>
    public void NoVerdict()
    {
        List<TaskCompletionSource<bool>> waiting;
        lock (_lock)
        {
            (waiting, _waiting) = (_waiting, []);
            _doubted = false;
        }

        First.TrySetResult();
        foreach (var waiter in waiting)
            waiter.TrySetCanceled();
    }

    /// <summary>No probe will come any more: the instance has left.</summary>
    public void End()
    {
        lock (_lock)
            Ended = true;
        NoVerdict();
    }

    /// <summary>
    /// True when requests have waited for a response head for most of a probe's timeout and not one has come: a probe that gets none either then makes two timeouts in all.
    /// Says so once per such time. Called by one thread, a few times a second.
    /// </summary>
    public bool FallsSilent(TimeProvider time)
    {
        const double MostOfTimeout = 0.75;
        var heads = Live.Heads;
        // Upgraded connections and long answers are in flight too, but have had their head. Read in this order, what ends in between counts as waiting for one look too many,
        // which means nothing.
        var over = heads + Live.Ended.Read(CodeClass.None);
        var waiting = Live.TotalRequests - over;
        if (waiting <= 0)
        {
            (_headsSeen, _silentSince) = (heads, 0);
            return false;
        }

        if (heads != _headsSeen || _silentSince == 0)
        {
            (_headsSeen, _silentSince) = (heads, time.GetTimestamp());
            return false;
        }

        if (time.GetElapsedTime(_silentSince) < Settings.Timeout * MostOfTimeout)
            return false;
        _silentSince = time.GetTimestamp();
        return true;
    }
}
