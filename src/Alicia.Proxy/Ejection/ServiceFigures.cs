using Alicia.Proxy.Balancing;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.Ejection;

/// <summary>The counters of a service's instances at one moment. Two of them make the figures of the time in between.</summary>
internal sealed class ServiceFigures
{
    private readonly Dictionary<long, (long Good, long Bad, long Heads, long Micros)> _counts;

    /// <param name="rotation">The instances.</param>
    /// <param name="at">The moment, as a <see cref="TimeProvider"/> timestamp.</param>
    public ServiceFigures(IEnumerable<PoolMember> rotation, long at)
    {
        At = at;
        _counts = rotation.ToDictionary(m => m.Live.Epoch, m => (Ended(m.Live, RequestOutcome.Success), Ended(m.Live, RequestOutcome.Failure), m.Live.Heads, m.Live.ResponseMicros));
    }

    /// <summary>The moment.</summary>
    public long At { get; }

    /// <summary>Attempts since <paramref name="before"/> and the share that succeeded; those that a caller broke off say nothing. None for an instance that was not there.</summary>
    public InstanceFigure SuccessRate(InstanceLive live, ServiceFigures before)
    {
        if (!_counts.TryGetValue(live.Epoch, out var now) || !before._counts.TryGetValue(live.Epoch, out var then))
            return default;
        var good = now.Good - then.Good;
        var all = good + now.Bad - then.Bad;
        return all <= 0 ? default : new InstanceFigure(all, (double)good / all);
    }

    /// <summary>Answers since <paramref name="before"/> and their mean response time. None for an instance that was not there.</summary>
    public InstanceFigure Latency(InstanceLive live, ServiceFigures before)
    {
        if (!_counts.TryGetValue(live.Epoch, out var now) || !before._counts.TryGetValue(live.Epoch, out var then))
            return default;
        var answers = now.Heads - then.Heads;
        return answers <= 0 ? default : new InstanceFigure(answers, (now.Micros - then.Micros) / 1e6 / answers);
    }

    private static long Ended(InstanceLive live, RequestOutcome outcome)
    {
        var sum = 0L;
        for (var code = 0; code < RequestCounts.Codes; code++)
            sum += live.Ended.Read((CodeClass)code, outcome);
        return sum;
    }
}
