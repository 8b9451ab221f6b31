using System.Diagnostics.CodeAnalysis;

namespace Alicia.Proxy.Direct;

/// <summary>Connections to one address that wait for their next request, youngest on top. Closed, it takes no more: nobody would look after them.</summary>
internal sealed class IdleConnections
{
    /// <summary>How many wait, at most. Beyond that a burst is over, and what it opened is closed.</summary>
    public const int Most = 1000;

    private readonly Lock _lock = new();
    private readonly List<UpstreamConnection> _idle = [];
    private bool _closed;
    private bool _used;

    public int Count => _idle.Count;

    /// <summary>True once it takes no more.</summary>
    public bool IsClosed => Volatile.Read(ref _closed);

    public bool TryPush(UpstreamConnection connection)
    {
        lock (_lock)
        {
            if (_closed || _idle.Count >= Most)
                return false;
            _idle.Add(connection);
            _used = true;
            return true;
        }
    }

    public bool TryPop([NotNullWhen(true)] out UpstreamConnection? connection)
    {
        lock (_lock)
        {
            connection = null;
            if (_idle.Count == 0)
                return false;
            connection = _idle[^1];
            _idle.RemoveAt(_idle.Count - 1);
            return true;
        }
    }

    /// <summary>Takes out the one that has waited longest, or one before which only younger ones stand, if <paramref name="of"/> it is so.</summary>
    public bool TryPopOldest(Predicate<UpstreamConnection> of, [NotNullWhen(true)] out UpstreamConnection? connection)
    {
        lock (_lock)
        {
            var i = _idle.FindIndex(of);
            connection = i < 0 ? null : _idle[i];
            if (i >= 0)
                _idle.RemoveAt(i);
            return i >= 0;
        }
    }

    /// <summary>Closes it if nothing is in it, and nothing was since this was asked last: that of a busy instance is empty now and then.</summary>
    public bool TryCloseUnused()
    {
        lock (_lock)
        {
            if (_idle.Count == 0 && !_used)
                _closed = true;
            _used = _idle.Count > 0;
            return _closed;
        }
    }

    public void Close()
    {
        lock (_lock)
            _closed = true;
    }
}
