using System.Numerics;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.Telemetry;

/// <summary>How many series a metric has.</summary>
internal enum SeriesPer
{
    /// <summary>A number that does not depend on what is registered.</summary>
    Proxy,

    Service,

    /// <summary>One for each service and state or reason.</summary>
    ServiceAndState,

    Instance,

    /// <summary>One for each instance and state of its circuit.</summary>
    InstanceAndState,

    /// <summary>One for each instance, status class and outcome that occurred.</summary>
    Request,
}

/// <summary>
/// How many series one OpenTelemetry provider may hold, and how many it has seen. A series that is no longer observed is no longer exported, but it keeps its place under the
/// provider's limit for the provider's life, and beyond the limit everything new is folded into one series. So whoever exports asks here first, and builds a new provider when the
/// living would not fit beside the dead.
/// </summary>
internal sealed class SeriesRoom
{
    /// <summary>Least limits; OpenTelemetry's own default is 2,000.</summary>
    public const int LeastInstances = 2000;

    private const int LeastServices = 128;
    private const int ProxySeries = 1000;

    /// <summary>States or reasons of a service: the larger of three states and the reasons of refusal, with some to spare.</summary>
    private const int StatesPerService = 8;

    private readonly Dictionary<long, uint> _instances = [];
    private readonly Dictionary<string, uint> _services = new(StringComparer.Ordinal);
    private readonly int _instanceLimit;
    private readonly int _requestLimit;
    private readonly int _serviceLimit;
    private readonly long _servicesBefore;
    private int _requests;

    /// <summary>Room for twice of what is there.</summary>
    /// <param name="census">What is there.</param>
    /// <param name="servicesAdded">Services that have been added so far, gone ones included.</param>
    public SeriesRoom(InstanceCensus census, long servicesAdded)
    {
        _instanceLimit = Math.Max(LeastInstances, 2 * census.Instances.Length);
        _serviceLimit = Math.Max(LeastServices, 2 * census.Services.Length);
        var cells = census.Instances.Sum(i => BitOperations.PopCount(i.Cells)) + census.Services.Sum(s => BitOperations.PopCount(s.Cells));
        _requestLimit = Math.Max(4 * LeastInstances, 2 * cells) + RequestCounts.Cells;
        // Services that are there now count from the beginning, those added since one by one; gone ones leave their series in the histogram.
        _servicesBefore = servicesAdded - census.Services.Length;
    }

    /// <summary>Notes what is there now.</summary>
    /// <returns>False when there is no room for all of it, or so many are gone that what they left behind should go too.</returns>
    public bool Admits(InstanceCensus census, long servicesAdded)
    {
        foreach (var row in census.Instances)
            Note(_instances, row.Instance.Epoch, row.Cells);
        foreach (var row in census.Services)
            Note(_services, row.Service.Name, row.Cells);
        return _instances.Count <= _instanceLimit && _requests <= _requestLimit && _services.Count <= _serviceLimit && servicesAdded - _servicesBefore <= _serviceLimit;
    }

    /// <summary>The limit of a metric.</summary>
    public int LimitOf(SeriesPer per) => per switch
    {
        SeriesPer.Proxy => ProxySeries,
        // The unknown service is one more. And the histogram is written between two looks: services that come and go in the meantime must find room there.
        SeriesPer.Service => (4 * _serviceLimit) + 1,
        SeriesPer.ServiceAndState => (_serviceLimit + 1) * StatesPerService,
        SeriesPer.Instance => _instanceLimit,
        SeriesPer.InstanceAndState => 3 * _instanceLimit,
        SeriesPer.Request => _requestLimit,
        _ => throw new ArgumentOutOfRangeException(nameof(per), per, null),
    };

    private void Note<TKey>(Dictionary<TKey, uint> seen, TKey key, uint cells)
        where TKey : notnull
    {
        ref var before = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(seen, key, out _);
        _requests += BitOperations.PopCount(cells & ~before);
        before |= cells;
    }
}
