using System.Security.Cryptography;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>
/// Bodies of any length that need no memory: one random block over and over, of a length that divides nothing, so that bytes lost, doubled or swapped show. Whoever
/// checks compares each byte as it comes.
/// </summary>
internal sealed class GeneratedBody
{
    private const int BlockLength = 1_048_573;

    // Twice, so that any part of up to a block's length is one span.
    private static readonly byte[] _block = TwiceOver(RandomNumberGenerator.GetBytes(BlockLength));
    private long _checked;

    /// <summary>How many bytes have been checked and were right.</summary>
    public long Checked => _checked;

    /// <summary>Bytes from <paramref name="position"/> on; at most a mebibyte less three.</summary>
    public static ReadOnlyMemory<byte> Part(long position, int length) => _block.AsMemory((int)(position % BlockLength), length);

    /// <exception cref="InvalidOperationException">The next bytes are not these.</exception>
    public void Check(ReadOnlySpan<byte> next)
    {
        while (!next.IsEmpty)
        {
            var length = Math.Min(next.Length, BlockLength);
            if (!next[..length].SequenceEqual(Part(_checked, length).Span))
                throw new InvalidOperationException($"the body differs within {length} bytes from {_checked}");
            _checked += length;
            next = next[length..];
        }
    }

    private static byte[] TwiceOver(byte[] block) => [.. block, .. block];
}
