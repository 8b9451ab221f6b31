namespace Alicia.Proxy.Balancing;

/// <summary>Draws the candidates of the algorithms that compare two.</summary>
internal static class TwoChoices
{
    /// <summary>
    /// Two different members with the odds of their weights; the same one twice when there is nobody to compare it with. A second that warms up is left out as often as it lacks
    /// warmth: compared like the others, it would be the idle one every time. So it gets its share of an even split, and at most twice that where it is always the idler.
    /// </summary>
    public static (int First, int Second) Draw(Pool pool, Random random)
    {
        var sums = pool.CumulativeWeights;
        if (sums.Length == 1)
            return (0, 0);
        // One draw of 63 bits for both: its halves are independent. The product's upper half is even over [0, n) but for n/2³¹, which no count of requests could show.
        var draw = random.NextInt64();
        var (upper, lower) = ((uint)(draw >> 31), (uint)draw << 1);
        // A newcomer comes first as often as its share says: where nobody has anything to do, that is what it gets.
        var first = pool.Warming ? Find(pool.CumulativeShares, Scaled(upper, pool.CumulativeShares[^1]))
            : pool.WeightsAreEqual ? Scaled(upper, sums.Length)
            : Find(sums, Scaled(upper, sums[^1]));
        int second;
        if (pool.WeightsAreEqual)
        {
            second = Scaled(lower, sums.Length - 1);
            if (second >= first)
                second++;
        }
        else
        {
            var weight = pool.Weights[first];
            var before = sums[first] - weight;
            // Over all weights but the first's, so that nobody has to draw again.
            var rest = Scaled(lower, sums[^1] - weight);
            second = Find(sums, rest < before ? rest : rest + weight);
        }

        return pool.Warming && !IsCompared(pool, second, random) ? (first, first) : (first, second);
    }

    /// <summary>Index of the first running sum above <paramref name="draw"/>; the sums rise strictly, because weights are at least 1.</summary>
    public static int Find(ReadOnlySpan<int> sums, int draw)
    {
        int low = 0, high = sums.Length - 1;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (sums[middle] > draw)
                high = middle;
            else
                low = middle + 1;
        }

        return low;
    }

    private static bool IsCompared(Pool pool, int index, Random random)
    {
        var warmth = pool.Warmths[index];
        return warmth == pool.Warmest || random.Next(pool.Warmest) < warmth;
    }

    private static int Scaled(uint draw, int bound) => (int)(((ulong)draw * (uint)bound) >> 32);
}
