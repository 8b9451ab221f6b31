using Alicia.Proxy.Balancing;
using BenchmarkDotNet.Attributes;

namespace Alicia.Proxy.Benchmarks.Micro;

/// <summary>Building the order of weighted round robin: done once, by the first request after the set or a weight changed.</summary>
public class ScheduleBenchmarks
{
    private int[] _weights = [];

    [Params(2, 10, 100, 1000)]
    public int Instances { get; set; }

    /// <summary>"mixed": 1 to 5 in turn. "odd": up to 1000 without a common divisor, which makes the longest periods.</summary>
    [Params("mixed", "odd")]
    public string Weights { get; set; } = "";

    [GlobalSetup]
    public void SetUp() => _weights = [.. Enumerable.Range(0, Instances).Select(i => Weights == "mixed" ? Upstreams.Weight(i) : 1000 - (i * 37 % 999))];

    [Benchmark]
    public object BuildSchedule() => new WeightedSchedule(_weights);
}
