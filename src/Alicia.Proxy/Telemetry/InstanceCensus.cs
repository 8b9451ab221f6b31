using Alicia.Proxy.Circuit;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Telemetry;

/// <summary>One instance to be observed.</summary>
/// <param name="Instance">As registered.</param>
/// <param name="Live">What it does.</param>
/// <param name="Gate">Its gate.</param>
/// <param name="Cells">The cells of its <see cref="RequestCounts"/> that have a series, a bit each.</param>
internal readonly record struct InstanceRow(Instance Instance, InstanceLive Live, InstanceGate Gate, uint Cells);

/// <summary>One service to be observed.</summary>
/// <param name="Service">As registered.</param>
/// <param name="Live">What it does.</param>
/// <param name="Cells">The cells of its <see cref="RequestCounts"/> that have a series, a bit each.</param>
internal readonly record struct ServiceRow(Service Service, ServiceLive Live, uint Cells);

/// <summary>
/// Who is there to be observed, at one moment. All metrics of a scrape read the same census, and it is the census that is held against the limits of the exporter
/// (<see cref="SeriesRoom"/>), so that no series appears that there is no room for.
/// </summary>
/// <param name="Revision">Of the registry.</param>
/// <param name="Instances">Those whose traffic the proxy knows; a registration that is not in force yet is left out.</param>
/// <param name="Services">Likewise.</param>
internal sealed record InstanceCensus(long Revision, InstanceRow[] Instances, ServiceRow[] Services)
{
    public static readonly InstanceCensus Empty = new(0, [], []);

    /// <summary>A series at zero before the first request, so that the first one shows as an increase.</summary>
    private static readonly uint AlwaysThere = 1u << RequestCounts.CellOf(CodeClass.Successful, RequestOutcome.Success);

    public static InstanceCensus Of(RegistrySnapshot snapshot, LiveTable lives, GateTable gates)
    {
        var instances = new List<InstanceRow>();
        var services = new List<ServiceRow>(snapshot.Services.Count);
        foreach (var service in snapshot.Services.Values)
        {
            if (!lives.TryGet(service.Name, out var serviceLive))
                continue;
            services.Add(new ServiceRow(service, serviceLive, serviceLive.Ended.Used()));
            foreach (var instance in service.Instances)
            {
                if (lives.TryGet(instance.Epoch, out var live) && gates.TryGet(instance.Epoch, out var gate))
                    instances.Add(new InstanceRow(instance, live, gate, live.Ended.Used() | AlwaysThere));
            }
        }

        return new InstanceCensus(snapshot.Revision, [.. instances], [.. services]);
    }
}

/// <summary>Takes the census. Whoever exports takes one first; the instruments read the latest.</summary>
internal sealed class CensusTaker(Func<RegistrySnapshot> registry, LiveTable lives, GateTable gates)
{
    private InstanceCensus _current = InstanceCensus.Empty;

    public InstanceCensus Current => Volatile.Read(ref _current);

    /// <summary>Services that have been added since start.</summary>
    public long ServicesAdded => lives.ServicesAdded;

    public InstanceCensus Count() => InstanceCensus.Of(registry(), lives, gates);

    public void Use(InstanceCensus census) => Volatile.Write(ref _current, census);
}
