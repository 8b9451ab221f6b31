namespace Alicia.Proxy.Live;

/// <summary>Connections of one kind: how many are open, and how many were opened since start.</summary>
internal sealed class ConnectionCount
{
    private long _opened;
    private long _closed;

    public long Opened => Volatile.Read(ref _opened);

    public long Open
    {
        get
        {
            // Closed first: one that closes in between must not make the difference negative.
            var closed = Volatile.Read(ref _closed);
            return Opened - closed;
        }
    }

    public void Enter() => Interlocked.Increment(ref _opened);

    public void Leave() => Interlocked.Increment(ref _closed);
}
