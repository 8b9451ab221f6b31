namespace Alicia.Proxy.Benchmarks.Soak;

/// <summary>
/// Bodies that both ends know without telling each other: cut from one block of random bytes, at a place that a seed says. Whoever has received bytes knows for each of them what it should
/// have been.
/// </summary>
internal static class SoakBodies
{
    public const int MaxLength = 1024 * 1024;

    private const int Places = 65_521;

    private static readonly byte[] _block = Block();

    /// <summary>The body of that seed.</summary>
    public static ReadOnlyMemory<byte> Of(int seed, int length) => _block.AsMemory((int)((uint)seed % Places), length);

    /// <summary>Holds what a reader gets against the body of that seed.</summary>
    /// <returns>How many bytes came, or −1 when one of them was wrong.</returns>
    public static async Task<int> ReadAsync(Stream stream, int seed, CancellationToken cancellation)
    {
        var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(32 * 1024);
        try
        {
            var length = 0;
            for (int read; (read = await stream.ReadAsync(buffer, cancellation)) > 0; length += read)
            {
                if (length + read > MaxLength || !buffer.AsSpan(0, read).SequenceEqual(Of(seed, MaxLength).Span.Slice(length, read)))
                    return -1;
            }

            return length;
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static byte[] Block()
    {
        var block = new byte[Places + MaxLength];
        new Random(4711).NextBytes(block);
        return block;
    }
}
