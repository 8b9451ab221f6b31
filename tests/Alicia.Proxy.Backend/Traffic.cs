using System.Collections.Concurrent;

namespace Alicia.Proxy.Backend;

/// <summary>
/// What this upstream has seen, counted exactly: tests hold the proxy's caps and counters against these numbers.
/// Control requests and probes of <c>/health</c> are not data requests.
/// </summary>
internal sealed class Traffic
{
    /// <summary>Distinct paths counted one by one; what comes after goes to <c>(other)</c>, so that a flood cannot grow this without
    /// end.</summary>
    private const int MaxPaths = 1000;

    private readonly ConcurrentDictionary<string, long> _paths = new();
    private long _requests;
    private long _inFlight;
    private long _maxInFlight;
    private long _aborted;
    private long _healthProbes;
    private long _connectionsTotal;
    private long _connectionsOpen;

    /// <summary>Counts a data request in. It is in flight until <see cref="Flight.Land"/>.</summary>
    public Flight Take(string path)
    {
        Interlocked.Increment(ref _requests);
        _paths.AddOrUpdate(_paths.ContainsKey(path) || _paths.Count < MaxPaths ? path : "(other)", 1, (_, n) => n + 1);
        RaiseMaximum(Interlocked.Increment(ref _inFlight));
        return new Flight(this);
    }

    public void CountProbe() => Interlocked.Increment(ref _healthProbes);

    /// <summary>Forgets the past. What is in flight and open stays counted; exact only when nothing arrives meanwhile.</summary>
    public void Reset()
    {
        Interlocked.Exchange(ref _requests, 0);
        Interlocked.Exchange(ref _aborted, 0);
        Interlocked.Exchange(ref _healthProbes, 0);
        Interlocked.Exchange(ref _connectionsTotal, Interlocked.Read(ref _connectionsOpen));
        Interlocked.Exchange(ref _maxInFlight, Interlocked.Read(ref _inFlight));
        _paths.Clear();
    }

    public TrafficReport Report(string name, IReadOnlyDictionary<string, int> held) => new(
        name,
        Interlocked.Read(ref _requests),
        Interlocked.Read(ref _inFlight),
        Interlocked.Read(ref _maxInFlight),
        Interlocked.Read(ref _aborted),
        Interlocked.Read(ref _healthProbes),
        Interlocked.Read(ref _connectionsTotal),
        Interlocked.Read(ref _connectionsOpen),
        held,
        new SortedDictionary<string, long>(_paths, StringComparer.Ordinal));

    private void RaiseMaximum(long seen)
    {
        var known = Interlocked.Read(ref _maxInFlight);
        while (seen > known)
        {
            var before = Interlocked.CompareExchange(ref _maxInFlight, seen, known);
            if (before == known)
                return;
            known = before;
        }
    }

    /// <summary>One data request on its way.</summary>
    internal sealed class Flight(Traffic traffic)
    {
        private int _landed;

        /// <summary>
        /// Counts the request out; only the first call counts. To be called just before the last byte of the answer is sent: a proxy frees
        /// the slot when it has that byte and may send the next request at once, and that request would otherwise be counted in before
        /// this one is counted out, which looks
        /// as if the proxy had overshot its cap.
        /// </summary>
        public void Land()
        {
            if (Interlocked.Exchange(ref _landed, 1) == 0)
                Interlocked.Decrement(ref traffic._inFlight);
        }

        /// <summary>Counts the request out as one that the other side gave up, unless the answer was complete already.</summary>
        public void Abort()
        {
            if (Interlocked.Exchange(ref _landed, 1) != 0)
                return;
            // In this order: who waits for in_flight to fall must find the abort counted.
            Interlocked.Increment(ref traffic._aborted);
            Interlocked.Decrement(ref traffic._inFlight);
        }
    }

    internal void OpenConnection()
    {
        Interlocked.Increment(ref _connectionsTotal);
        Interlocked.Increment(ref _connectionsOpen);
    }

    internal void CloseConnection() => Interlocked.Decrement(ref _connectionsOpen);
}

/// <summary>One TCP connection; counted from its first data request on, so that control clients and probes don't show.</summary>
internal sealed class CountedConnection(Traffic traffic)
{
    private int _counted;

    public void Carry()
    {
        if (Interlocked.Exchange(ref _counted, 1) == 0)
            traffic.OpenConnection();
    }

    public void Close()
    {
        if (Volatile.Read(ref _counted) == 1)
            traffic.CloseConnection();
    }
}

/// <summary>The answer of <c>GET /control/stats</c>.</summary>
internal sealed record TrafficReport(
    string Name,
    long Requests,
    long InFlight,
    long MaxInFlight,
    long Aborted,
    long HealthProbes,
    long ConnectionsTotal,
    long ConnectionsOpen,
    IReadOnlyDictionary<string, int> Held,
    IReadOnlyDictionary<string, long> Paths);
