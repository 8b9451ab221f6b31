using System.Globalization;
using Alicia.Proxy.Benchmarks.Reporting;

namespace Alicia.Proxy.Benchmarks.Soak;

/// <summary>What a soak has to show, and whether it did.</summary>
internal sealed class SoakVerdicts
{
    /// <summary>What the last third of the run may hold more than the middle third, as a factor and beyond it. A leak of one object of 100 bytes in a thousand requests would be beyond.</summary>
    private const double Growth = 1.05;
    private const double GrowthMiB = 4;

    /// <summary>What a process that has nothing to do may hold more than when it had just warmed up: code that was compiled since, tables that grew to their size.</summary>
    private const double QuietGrowthMiB = 8;

    /// <summary>Least part of the requests to <see cref="SoakTroubles.Stormy"/> that must be answered whole.</summary>
    private const double StormyWhole = 0.97;

    private readonly List<(string What, string Bound, string Measured, bool Held)> _all = [];

    public SoakVerdicts(
        IReadOnlyList<SoakSample> samples, SoakSample before, SoakSample after, SoakWatch watch, (long Rented, long Returned, int Lost, IReadOnlyList<int> Missing) arrays, SoakTally tally)
    {
        var (middle, last) = (samples.Skip(samples.Count / 3).Take(samples.Count / 3), samples.Skip(samples.Count * 2 / 3));
        void Flat(string what, Func<SoakSample, double> of, double beyond)
        {
            var (then, now) = (new Samples(middle.Select(of)).Median, new Samples(last.Select(of)).Median);
            Add(what, Invariant($"median of the last third ≤ {Growth:0.00} × that of the middle third + {beyond:0}"), Invariant($"{now:0.0} against {then:0.0}"), now <= (then * Growth) + beyond);
        }

        if (samples.Count >= 6)
        {
            Flat("memory in RAM, MiB", s => s.ResidentMiB, GrowthMiB);
            Flat("managed heap, MiB", s => s.HeapMiB, GrowthMiB);
            Flat("descriptors", s => s.Descriptors, 20);
            Flat("threads of the pool", s => s.Threads, 4);
        }

        Add("heap when quiet, behind a full collection, MiB", Invariant($"≤ before the run + {QuietGrowthMiB:0}"), Invariant($"{after.HeapMiB:0.0} against {before.HeapMiB:0.0}"), after.HeapMiB <= before.HeapMiB + QuietGrowthMiB);
        None("connections of callers when quiet", after.Callers);
        None("connections to instances when quiet", after.Upstream);
        None("requests in flight when quiet", after.InFlight);
        None("requests in line when quiet", after.Waiting);
        Add("descriptors when quiet", "≤ before the run + 2", Invariant($"{after.Descriptors:0} against {before.Descriptors:0}"), after.Descriptors <= before.Descriptors + 2);
        None("connections half closed for ten seconds", watch.Forgotten);
        // Books of which a page is missing prove nothing.
        Add("pooled arrays taken and not given back", "0, no event lost",
            Invariant($"{arrays.Missing.Count} of {arrays.Rented:#,0}, {arrays.Lost} events lost{(arrays.Missing.Count > 0 ? ", of sizes " + string.Join(", ", arrays.Missing.Take(10)) : "")}"),
            arrays is { Lost: 0, Missing.Count: 0, Rented: > 0 });
        None("wrong bytes", tally.Counts.Where(c => c.Key.What is "wrong bytes" or "too short").Sum(c => c.Value));
        None($"failures of requests to {SoakTroubles.Calm}", tally.Count(SoakTroubles.Calm, w => new Fate(w).IsFailure));
        None("failures that nothing explains", tally.Unexplained);
        var stormy = tally.Count(SoakTroubles.Stormy, w => w != Fate.Left);
        var whole = (double)tally.Count(SoakTroubles.Stormy, w => w == Fate.Whole) / Math.Max(1, stormy);
        Add($"whole answers of {SoakTroubles.Stormy}", Invariant($"≥ {StormyWhole:0.0%}"), Invariant($"{whole:0.00%} of {stormy:#,0}"), whole >= StormyWhole);
    }

    public bool AllHeld => _all.TrueForAll(v => v.Held);

    public IEnumerable<IReadOnlyList<string>> Rows() => _all.Select(v => (IReadOnlyList<string>)[v.What, v.Bound, v.Measured, v.Held ? "yes" : "**no**"]);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private void None(string what, double count) => Add(what, "0", Invariant($"{count:0}"), count == 0);

    private void Add(string what, string bound, string measured, bool held) => _all.Add((what, bound, measured, held));
}
