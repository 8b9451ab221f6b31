using Alicia.Proxy.Balancing;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Routing;
using BenchmarkDotNet.Attributes;

namespace Alicia.Proxy.Benchmarks.Micro;

/// <summary>Finding the service of a request among a thousand.</summary>
public class RoutingBenchmarks
{
    private const int Services = 1000;

    /// <summary>Requests in the cycle; a power of two. Another service each time keeps the branch predictor honest.</summary>
    private const int Cycle = 1024;

    private readonly string[] _hosts = Each(i => $"{Name(i)}.alicia.local:8080");
    private readonly string[] _shouted = Each(i => $"{Name(i).ToUpperInvariant()}.Alicia.Local");
    private readonly string[] _paths = Each(i => $"/{Name(i)}/v1/items?page=2");
    private readonly string[] _unknown = Each(i => $"/unknown-{i}/v1/items");
    private readonly RoutingTable _table =
        new(RegistryRules.Default, Enumerable.Range(0, Services).Select(i => new Upstream(Name(i), new ServiceLive(Name(i)))));
    private int _next;

    [Benchmark]
    public bool FindByHost() => _table.Find(_hosts[Next()], "/v1/items?page=2", out _) is not null;

    [Benchmark]
    public bool FindByHostInCapitals() => _table.Find(_shouted[Next()], "/v1/items?page=2", out _) is not null;

    [Benchmark]
    public bool FindByPrefix() => _table.Find("127.0.0.1:8080", _paths[Next()], out _) is not null;

    [Benchmark]
    public bool FindUnknown() => _table.Find("127.0.0.1:8080", _unknown[Next()], out _) is not null;

    private static string Name(int index) => $"service-{index:0000}";

    private static string[] Each(Func<int, string> text) => [.. Enumerable.Range(0, Cycle).Select(i => text(i * 7 % Services))];

    private int Next() => _next++ & (Cycle - 1);
}
