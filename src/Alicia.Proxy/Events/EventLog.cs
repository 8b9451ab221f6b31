using System.Threading.Channels;

namespace Alicia.Proxy.Events;

/// <summary>
/// What happened lately, and the fan-out to those who follow it. Whoever publishes never waits: history and each follower's queue are bounded, and a
/// follower that falls behind is cut off rather than served late.
/// </summary>
internal sealed class EventLog
{
    /// <summary>Events kept for those who resume: some minutes of a busy house.</summary>
    public const int HistoryLength = 1024;

    /// <summary>Events that one follower may be behind. More than the history, so that one who resumes from its beginning has room for what comes.</summary>
    public const int QueueLength = 2048;

    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly Queue<ProxyEvent> _history = new(HistoryLength);
    private readonly HashSet<Follower> _followers = [];
    private long _lastId;
    private long _cutOff;

    public EventLog(TimeProvider time)
    {
        _time = time;
        // Microseconds of the clock: nobody publishes one a microsecond, so that an id from before a restart is never one of this process's. Exact in a JSON number.
        _lastId = (time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
    }

    /// <summary>Id of the latest event; before the first, the id that it follows.</summary>
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
            var happened = new ProxyEvent(++_lastId, _time.GetUtcNow(), kind, service, happening);
            if (_history.Count == HistoryLength)
                _history.Dequeue();
            _history.Enqueue(happened);
            List<Follower>? behind = null;
            foreach (var follower in _followers)
            {
                if (!follower.Queue.Writer.TryWrite(happened))
                    (behind ??= []).Add(follower);
            }

            foreach (var follower in behind ?? [])
                Cut_NeedsLock(follower);
        }
    }

    /// <summary>
    /// Follows from now on, or, with <paramref name="after"/>, from the event after that id. Where the history does not reach back so far, or does not
    /// know the id, from the oldest event that it has.
    /// </summary>
    /// <param name="after">Last id that the follower has seen, or null for only what comes.</param>
    public Follower Follow(long? after = null)
    {
        lock (_lock)
        {
            var forgotten = _lastId - _history.Count;
            // Ahead of the latest: from before a restart with the clock set back in between.
            var gap = after < forgotten || after > _lastId;
            var from = gap ? forgotten : after ?? _lastId;
            var follower = new Follower(this, from, gap);
            foreach (var happened in _history.Skip((int)(from - forgotten)))
                follower.Queue.Writer.TryWrite(happened);
            _followers.Add(follower);
            return follower;
        }
    }

    private void Cut_NeedsLock(Follower follower)
    {
        if (!_followers.Remove(follower))
            return;
        _cutOff++;
        follower.End(cutOff: true);
    }

    /// <summary>One who follows. Disposing it ends the following.</summary>
    internal sealed class Follower(EventLog log, long from, bool gap) : IDisposable
    {
        private readonly CancellationTokenSource _cutOff = new();

        internal Channel<ProxyEvent> Queue { get; } = Channel.CreateBounded<ProxyEvent>(new BoundedChannelOptions(QueueLength) { SingleReader = true });

        /// <summary>Id that the first event follows.</summary>
        public long From { get; } = from;

        /// <summary>True when the history did not reach back to where the follower wanted to resume: it has missed events.</summary>
        public bool Gap { get; } = gap;

        /// <summary>Events in order; completes when the follower was cut off.</summary>
        public ChannelReader<ProxyEvent> Events => Queue.Reader;

        /// <summary>Cancelled when the follower was cut off: what is still in its queue is not worth delivering.</summary>
        public CancellationToken CutOff => _cutOff.Token;

        /// <summary>Cuts the follower off as too slow, for one whose reader stands still with its queue not yet full.</summary>
        public void GiveUp()
        {
            lock (log._lock)
                log.Cut_NeedsLock(this);
        }

        public void Dispose()
        {
            lock (log._lock)
                log._followers.Remove(this);
            End(cutOff: false);
        }

        internal void End(bool cutOff)
        {
            Queue.Writer.TryComplete();
            // What hangs on the token runs elsewhere; who publishes does not wait for it. A source without a timer needs no disposal.
            if (cutOff)
                _ = _cutOff.CancelAsync();
        }
    }
}
