using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Model;

namespace Alicia.Proxy.Benchmarks.Simulation;

/// <summary>What is wrong with the last of the instances.</summary>
internal enum Ailment
{
    /// <summary>Nothing: all are alike.</summary>
    None,

    /// <summary>Each of its requests takes ten times as long.</summary>
    Slow,

    /// <summary>Once in ten seconds it does nothing for a second.</summary>
    Pauses,

    /// <summary>It answers every request with a failure after a tenth of a millisecond.</summary>
    Fails,
}

/// <summary>What came of a run.</summary>
/// <param name="P50">Seconds that half of the requests did not exceed.</param>
/// <param name="P99">Seconds that 99 % did not exceed.</param>
/// <param name="P999">Seconds that 99.9 % did not exceed.</param>
/// <param name="Mean">Mean in seconds.</param>
/// <param name="Shares">Share of the requests that each instance got.</param>
/// <param name="Failed">Share of the requests that failed.</param>
internal sealed record SimulationResult(double P50, double P99, double P999, double Mean, double[] Shares, double Failed);

/// <summary>
/// Ten instances behind the proxy's own admission and algorithms, in virtual time: requests come at random moments (Poisson), each takes a random time (exponential, 10 ms in the
/// mean) of one of an instance's eight workers, and waits for one in the order of coming. Half of what the ten could do is asked for. Everything that is random comes from one
/// seed, so a run is the same every time, on every machine.
/// </summary>
internal sealed class QueueSimulation
{
    public const int Instances = 10;
    public const int Workers = 8;
    public const double MeanSeconds = 0.010;
    public const double Utilization = 0.5;
    private const double SlowFactor = 10;
    private const double PauseEvery = 10;
    private const double PauseSeconds = 1;
    private const double FailureSeconds = 0.0001;
    private const int Users = 10_000;

    private readonly Ailment _ailment;
    private readonly Random _random;
    private readonly VirtualTime _time = new();
    private readonly UpstreamState _state;
    private readonly PriorityQueue<Departure, double> _departures = new();
    private readonly double[][] _workerFree = [.. Enumerable.Range(0, Instances).Select(_ => new double[Workers])];
    private readonly DefaultHttpContext _request = new();
    private readonly string[] _users = [.. Enumerable.Range(0, Users).Select(i => "user-" + i)];

    public QueueSimulation(string algorithm, Ailment ailment, int seed)
    {
        _ailment = ailment;
        _random = new Random(seed);
        var settings = ServiceSettings.Resolve(SettingOverrides.Empty.With(SettingKeys.HashBy, "field").With(SettingKeys.HashName, "user"));
        var policy = BalancingServices.All(new Random(seed + 1), _time).Single(p => p.Name == algorithm);
        var pool = new Pool(Enumerable.Range(0, Instances).Select(Member));
        policy.Prepare(pool, settings);
        _state = new UpstreamState(pool, policy, settings);
    }

    /// <summary>Runs so many requests and measures those after the first tenth.</summary>
    public SimulationResult Run(int requests)
    {
        var warmUp = requests / 10;
        var latencies = new List<double>(requests);
        var counts = new long[Instances];
        var (now, failed) = (0.0, 0L);
        for (var i = 0; i < requests; i++)
        {
            now += Exponential(MeanSeconds / (Instances * Workers * Utilization));
            DepartUntil(now);
            _time.Set(now);
            _request.Request.Headers["user"] = _users[_random.Next(Users)];
            if (InstanceAdmission.TryAdmit(_state, _request, out var member, out _) != AdmissionResult.Admitted)
                throw new InvalidOperationException("every instance is full; the model is meant to have room");
            var index = (int)member.Live.Epoch - 1;
            var ends = Serve(index, now, out var fails);
            _departures.Enqueue(new Departure(member.Live, now, fails), ends);
            if (i < warmUp)
                continue;
            latencies.Add(ends - now);
            counts[index]++;
            failed += fails ? 1 : 0;
        }

        latencies.Sort();
        double total = latencies.Count;
        return new SimulationResult(At(0.5), At(0.99), At(0.999), latencies.Average(), [.. counts.Select(c => c / total)], failed / total);

        double At(double quantile) => latencies[Math.Min(latencies.Count - 1, (int)(quantile * latencies.Count))];
    }

    /// <summary>Gives the request to the worker that is free first, and says when it will be done.</summary>
    private double Serve(int index, double now, out bool fails)
    {
        var ill = index == Instances - 1;
        fails = ill && _ailment == Ailment.Fails;
        if (fails)
            return now + FailureSeconds;
        var free = _workerFree[index];
        var worker = Array.IndexOf(free, free.Min());
        var begins = Math.Max(now, free[worker]);
        if (ill && _ailment == Ailment.Pauses && begins % PauseEvery < PauseSeconds)
            begins += PauseSeconds - (begins % PauseEvery);
        return free[worker] = begins + Exponential(ill && _ailment == Ailment.Slow ? MeanSeconds * SlowFactor : MeanSeconds);
    }

    private void DepartUntil(double now)
    {
        while (_departures.TryPeek(out var departure, out var at) && at <= now)
        {
            _departures.Dequeue();
            _time.Set(at);
            departure.Live.RecordResponseTime(at - departure.Came);
            if (departure.Fails)
                departure.Live.CountFailure();
            departure.Live.Release();
        }
    }

    private double Exponential(double mean) => -Math.Log(1 - _random.NextDouble()) * mean;

    private static PoolMember Member(int index)
    {
        var live = new InstanceLive(index + 1) { MaxConnections = SettingKeys.MaxConnections.Default };
        var endpoint = new UpstreamEndpoint(live.Epoch, "instance-" + live.Epoch, "http", "127.0.0.1", 8080);
        return new PoolMember(live, endpoint, new DestinationState(DestinationIds.Of(live.Epoch)), InstanceGate.Detached(live));
    }

    private readonly record struct Departure(InstanceLive Live, double Came, bool Fails);

    /// <summary>A clock that stands where it was put.</summary>
    private sealed class VirtualTime : TimeProvider
    {
        private long _timestamp;

        public override long TimestampFrequency => 1_000_000_000;

        public override long GetTimestamp() => _timestamp;

        public void Set(double seconds) => _timestamp = (long)(seconds * 1e9);
    }
}
