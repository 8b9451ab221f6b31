namespace Alicia.Proxy.Direct;

/// <summary>
/// Memory that answers are received into, lent to a connection while something of an answer is in it. A connection that waits, for its instance or for its next request, needs none; and what was
/// given back last is still in the processor's cache when the next answer comes, on whichever connection.
/// </summary>
internal static class ReceiveBuffers
{
    /// <summary>Length of each. Holds the head of nearly every answer, and all of the small ones: those then need one look at the socket.</summary>
    public const int Bytes = 16 * 1024;

    /// <summary>How many wait, besides one for each thread: a megabyte.</summary>
    private const int Most = 64;

    private static readonly Lock Gate = new();
    private static readonly byte[]?[] Free = new byte[Most][];
    private static int _count;

    /// <summary>Enough for a thread that handles one answer after the other, and needs no lock.</summary>
    [ThreadStatic]
    private static byte[]? _ofThisThread;

    /// <summary>Lends one; what is in it is of no meaning.</summary>
    public static byte[] Rent()
    {
        if (_ofThisThread is { } own)
        {
            _ofThisThread = null;
            return own;
        }

        lock (Gate)
        {
            if (_count > 0)
            {
                ref var last = ref Free[--_count];
                var buffer = last!;
                last = null;
                return buffer;
            }
        }

        return GC.AllocateUninitializedArray<byte>(Bytes);
    }

    /// <summary>Takes one back. One that has grown, and one too many, is left to the collector.</summary>
    public static void Return(byte[] buffer)
    {
        if (buffer.Length != Bytes)
            return;
        if (_ofThisThread is null)
        {
            _ofThisThread = buffer;
            return;
        }

        lock (Gate)
        {
            if (_count < Most)
                Free[_count++] = buffer;
        }
    }
}
