using System.Threading.Channels;

namespace Alicia.Proxy.Events;

/// <summary>
/// What happened lately, and the fan-out to those who follow it. Whoever publishes never waits: history and each follower's queue are bounded, and a
/// follower that falls behind is cut off rather than served late.
/// </summary>
internal sealed class EventLog(TimeProvider time)
{
    /// <summary>Events kept for those who resume: some minutes of a busy house.</summary>
    public const int HistoryLength = 1024;

    /// <summary>Events that one follower may be behind.</summary>
    public const int QueueLength = 2048;

    private readonly Lock _lock = new();
    private readonly Queue<ProxyEvent> _history = new(HistoryLength);
    private readonly HashSet<Follower> _followers = [];
    private long _lastId;
    private long _cutOff;

    /// <summary>Id of the latest event; 0 before the first.</summary>
    public long LastId => Volatile.Read(ref _lastId);

    /// <summary>Who follows now.</summary>
    public int Followers
    {
        get
        {
            lock (_lock)
                return _followers.Count;
        }
    }

    /// <summary>Followers that were cut off since start because they did not keep up.</summary>
    public long CutOff => Volatile.Read(ref _cutOff);

    /// <summary>Adds an event and hands it to every follower.</summary>
    public void Publish(EventKind kind, string service, Happening happening = default)
    {
        lock (_lock)
        {
            var happened = new ProxyEvent(++_lastId, time.GetUtcNow(), kind, service, happening);
            if (_history.Count == HistoryLength)
                _history.Dequeue();
            _history.Enqueue(happened);
            foreach (var slow in _followers.Where(f => !f.Queue.Writer.TryWrite(happened)).ToArray())
            {
                _followers.Remove(slow);
                slow.Queue.Writer.TryComplete();
                _cutOff++;
            }
        }
    }

    /// <summary>Follows from now on, or, with <paramref name="after"/>, from the event after that id as far as the history goes back.</summary>
    /// <param name="after">Last id that the follower has seen, or null for only what comes.</param>
    public Follower Follow(long? after = null)
    {
        lock (_lock)
        {
            // An id from before a restart is ahead of this process's: nothing of it is known here, so everything is news.
            var from = after is { } id && id > _lastId ? 0 : after ?? _lastId;
            var missed = _history.Where(e => e.Id > from).ToArray();
            var gap = missed.Length > 0 && missed[0].Id > from + 1;
            var follower = new Follower(this, gap || after > _lastId);
            foreach (var happened in missed)
                follower.Queue.Writer.TryWrite(happened);
            _followers.Add(follower);
            return follower;
        }
    }

    private void Leave(Follower follower)
    {
        lock (_lock)
            _followers.Remove(follower);
        follower.Queue.Writer.TryComplete();
    }

    /// <summary>One who follows. Disposing it ends the following.</summary>
    internal sealed class Follower(EventLog log, bool gap) : IDisposable
    {
        internal Channel<ProxyEvent> Queue { get; } = Channel.CreateBounded<ProxyEvent>(new BoundedChannelOptions(QueueLength) { SingleReader = true });

        /// <summary>True when the history did not reach back to where the follower wanted to resume: it has missed events.</summary>
        public bool Gap { get; } = gap;

        /// <summary>Events in order; completes when the follower was cut off.</summary>
        public ChannelReader<ProxyEvent> Events => Queue.Reader;

        public void Dispose() => log.Leave(this);
    }
}
