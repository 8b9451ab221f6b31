using System.Diagnostics.Metrics;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// What each instance does and how it is. Ten thousand instances are tens of thousands of series; with <c>Metrics:PerInstance=false</c> the same metrics are summed over each
/// service, from counters that do not fall when an instance leaves. Labels are given in alphabetical order: so OpenTelemetry finds a series without sorting.
/// </summary>
internal sealed class InstanceMetrics
{
    private static readonly (string Code, string Outcome)[] Cells =
    [
        .. from code in Enum.GetValues<CodeClass>()
           from outcome in Enum.GetValues<RequestOutcome>()
           orderby RequestCounts.CellOf(code, outcome)
           select (MetricLabels.Of(code), MetricLabels.Of(outcome)),
    ];

    private static readonly (CircuitState State, string Name)[] States = [.. Enum.GetValues<CircuitState>().Select(s => (s, CircuitNames.Of(s)))];

    private readonly CensusTaker _census;
    private readonly LiveTable _lives;
    private readonly Func<bool> _perInstance;

    public InstanceMetrics(ProxyMeter meter, CensusTaker census, LiveTable lives, Func<bool> perInstance)
    {
        (_census, _lives, _perInstance) = (census, lives, perInstance);
        meter.Counter("alicia_requests", null, SeriesPer.Request,
            "Attempts at instances that are over, by status class and outcome; and, without an instance, requests that were refused.", Requests);
        meter.Counter("alicia_instance_response", "s", SeriesPer.Instance, "Time to the response head, summed over the attempts that got one.",
            () => Each(i => i.Live.ResponseSeconds, s => s.Live.ResponseSeconds));
        meter.Gauge("alicia_instance_active_requests", null, SeriesPer.Instance, "Requests in flight, upgraded connections included.",
            () => Each<long>(i => i.Live.InFlight, null));
        meter.Gauge("alicia_instance_up", null, SeriesPer.Instance, "1 while requests may go there: probed, not called unhealthy, circuit closed. Draining does not count as down.",
            () => Each<long>(i => IsUp(i) ? 1 : 0, null));
        meter.Gauge("alicia_circuit_state", null, SeriesPer.InstanceAndState, "1 for the state that the circuit is in, 0 for the others.", Circuits);
    }

    private static bool IsUp(InstanceRow row) => row.Instance.Admitted && row.Gate.Standing == GateStanding.Usable;

    private IEnumerable<Measurement<long>> Requests()
    {
        var census = _census.Current;
        var perInstance = _perInstance();
        if (perInstance)
        {
            foreach (var row in census.Instances)
            {
                for (var cells = row.Cells; cells != 0; cells &= cells - 1)
                {
                    var cell = System.Numerics.BitOperations.TrailingZeroCount(cells);
                    yield return new(row.Live.Ended.Read(cell),
                        [new("code", Cells[cell].Code), new("instance_id", row.Instance.InstanceId), new("outcome", Cells[cell].Outcome), new("service", row.Instance.ServiceName)]);
                }
            }
        }

        var unknown = _lives.Unknown;
        foreach (var row in census.Services)
        {
            var shares = row.Service.Name == unknown.Name;
            for (var cells = row.Cells | (shares ? unknown.Ended.Used() : 0); cells != 0; cells &= cells - 1)
            {
                var cell = System.Numerics.BitOperations.TrailingZeroCount(cells);
                // With a row for each instance, what is left for the service is what reached none.
                if (!perInstance || cell % RequestCounts.Outcomes == (int)RequestOutcome.Rejected)
                    yield return OfService(row.Service.Name, cell, row.Live.Ended.Read(cell) + (shares ? unknown.Ended.Read(cell) : 0));
            }
        }

        // A service may be called like that; then it has the series already.
        if (Array.Exists(census.Services, s => s.Service.Name == unknown.Name))
            yield break;
        for (var cells = unknown.Ended.Used(); cells != 0; cells &= cells - 1)
        {
            var cell = System.Numerics.BitOperations.TrailingZeroCount(cells);
            yield return OfService(unknown.Name, cell, unknown.Ended.Read(cell));
        }
    }

    private static Measurement<long> OfService(string service, int cell, long count) =>
        new(count, [new("code", Cells[cell].Code), new("outcome", Cells[cell].Outcome), new("service", service)]);

    /// <summary>One measurement for each instance; or for each service, its own counter or, without one, the sum of its instances.</summary>
    private IEnumerable<Measurement<T>> Each<T>(Func<InstanceRow, T> ofInstance, Func<ServiceRow, T>? ofService)
        where T : struct, System.Numerics.INumber<T>
    {
        var census = _census.Current;
        if (_perInstance())
        {
            foreach (var row in census.Instances)
                yield return new(ofInstance(row), [new("instance_id", row.Instance.InstanceId), new("service", row.Instance.ServiceName)]);
            yield break;
        }

        var sums = ofService is null ? Sums(census, ofInstance) : null;
        foreach (var row in census.Services)
            yield return new(ofService is not null ? ofService(row) : sums!.GetValueOrDefault(row.Service.Name), [new("service", row.Service.Name)]);
    }

    private IEnumerable<Measurement<long>> Circuits()
    {
        var census = _census.Current;
        if (_perInstance())
        {
            foreach (var row in census.Instances)
            {
                var current = row.Gate.Read().State;
                foreach (var (state, name) in States)
                    yield return new(current == state ? 1 : 0, [new("instance_id", row.Instance.InstanceId), new("service", row.Instance.ServiceName), new("state", name)]);
            }

            yield break;
        }

        foreach (var (state, name) in States)
        {
            var sums = Sums<long>(census, row => row.Gate.Read().State == state ? 1 : 0);
            foreach (var row in census.Services)
                yield return new(sums.GetValueOrDefault(row.Service.Name), [new("service", row.Service.Name), new("state", name)]);
        }
    }

    private static Dictionary<string, T> Sums<T>(InstanceCensus census, Func<InstanceRow, T> read)
        where T : struct, System.Numerics.INumber<T>
    {
        var sums = new Dictionary<string, T>(census.Services.Length, StringComparer.Ordinal);
        foreach (var row in census.Instances)
            System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(sums, row.Instance.ServiceName, out _) += read(row);
        return sums;
    }
}
