using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using Alicia.Proxy.Benchmarks.Processes;

namespace Alicia.Proxy.Benchmarks.Soak;

/// <summary>
/// What happens to the instances while the callers call. Of the service <see cref="Stormy"/> they are killed, stopped, made to hang, to break off, to be slow, and close idle connections early. Those of
/// <see cref="Calm"/> come, go, drain and change, but are never hurt: of requests to them none may fail.
/// </summary>
internal sealed class SoakTroubles : IAsyncDisposable
{
    public const string Calm = "calm";
    public const string Stormy = "stormy";

    private const int Instances = 6;

    /// <summary>Instances of <see cref="Stormy"/> that are in trouble at once, at most. The others can take what comes.</summary>
    private const int AtOnce = 2;

    /// <summary>How long a trouble may still be felt when it is over: connections that it broke, circuits, requests that waited.</summary>
    private static readonly TimeSpan _aftermath = TimeSpan.FromSeconds(8);

    /// <summary>Which troubles may cause a failure. What stands here for none is a fault of the proxy's, whatever happens to instances.</summary>
    private static readonly Dictionary<string, string[]> _causes = new(StringComparer.Ordinal)
    {
        ["502 connection_refused"] = ["killed"],
        ["502 connection_terminated"] = ["killed", "breaks off"],
        ["504 connection_timeout"] = ["stopped"],
        ["504 http_response_timeout"] = ["hangs", "stopped"],
        // No caller waits for a farewell of an instance that is gone.
        ["502 http_upgrade_failed"] = ["killed", "breaks off"],
        // A cut answer of which nothing had gone out to the caller yet: all that he sees is the cut.
        ["no answer"] = ["killed", "breaks off"],
        [Fate.Cut] = ["killed", "breaks off", "hangs", "stopped"],
    };

    private readonly ProxyProcess _proxy;
    private readonly SoakHost[] _calm = new SoakHost[Instances];
    private readonly SoakHost[] _stormy = new SoakHost[Instances];
    private readonly ConcurrentQueue<(string What, long From, long To)> _past = new();
    private readonly ConcurrentDictionary<long, (string What, long From)> _present = new();
    private readonly ConcurrentDictionary<string, int> _counts = new();
    private readonly CancellationTokenSource _over = new();
    private Task _running = Task.CompletedTask;
    private long _ids;

    public SoakTroubles(ProxyProcess proxy) => _proxy = proxy;

    /// <summary>How often each trouble was made.</summary>
    public IReadOnlyDictionary<string, int> Counts => _counts;

    /// <summary>Starts the instances and registers them.</summary>
    public async Task StartAsync()
    {
        for (var i = 0; i < Instances; i++)
        {
            _calm[i] = await SoakHost.StartAsync(idleMs: 130_000);
            // Early enough that now and then a request meets a connection that is just being closed.
            _stormy[i] = await SoakHost.StartAsync(idleMs: 700 + (300 * i));
            await RegisterAsync(Calm, i, _calm[i]);
            await RegisterAsync(Stormy, i, _stormy[i]);
        }
    }

    /// <summary>Begins to make trouble.</summary>
    public void Begin() => _running = Task.WhenAll([ComeAndGoAsync(), .. Enumerable.Range(0, AtOnce).Select(WorkAsync)]);

    /// <summary>Ends every trouble and heals everybody.</summary>
    public async Task EndAsync()
    {
        await _over.CancelAsync();
        await _running;
    }

    /// <summary>Whether a trouble explains the failure of a request that began at this <see cref="Stopwatch"/> timestamp and is over now.</summary>
    public bool Explains(string service, Fate fate, long startedAt)
    {
        if (service != Stormy)
            return false;
        if (!_causes.TryGetValue(fate.What, out var causes))
            return false;
        var from = startedAt - (long)(_aftermath.TotalSeconds * Stopwatch.Frequency);
        return _present.Values.Any(p => causes.Contains(p.What)) || _past.Any(p => p.To >= from && causes.Contains(p.What));
    }

    /// <summary>Ends with the first failure to make trouble; otherwise not before <see cref="EndAsync"/>.</summary>
    public Task Running => _running;

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await Task.WhenAny(_running);
        foreach (var host in (SoakHost?[])[.. _calm, .. _stormy])
        {
            if (host is not null)
                await host.DisposeAsync();
        }

        _over.Dispose();
    }

    /// <summary>Troubles one instance after the other; each worker has its own half of them, so that no instance is in two hands.</summary>
    private async Task WorkAsync(int worker)
    {
        var random = new Random(worker);
        try
        {
            while (true)
            {
                var i = (random.Next(Instances / AtOnce) * AtOnce) + worker;
                var what = ((string[])["killed", "killed", "stopped", "hangs", "breaks off", "slow"])[random.Next(6)];
                await TroubleAsync(i, what, TimeSpan.FromSeconds(1 + (4 * random.NextDouble())));
                await Task.Delay(TimeSpan.FromSeconds(0.5 + random.NextDouble()), _over.Token);
            }
        }
        catch (OperationCanceledException) when (_over.IsCancellationRequested)
        {
            // Over, and healed.
        }
    }

    private async Task TroubleAsync(int i, string what, TimeSpan duration)
    {
        var host = _stormy[i];
        var (id, from) = (Interlocked.Increment(ref _ids), Stopwatch.GetTimestamp());
        _present[id] = (what, from);
        _counts.AddOrUpdate(what, 1, static (_, n) => n + 1);
        try
        {
            switch (what)
            {
                case "killed":
                    await host.KillAsync();
                    await Quietly(Task.Delay(duration, _over.Token));
                    await host.StartAgainAsync();
                    // As most services do when they start.
                    await RegisterAsync(Stormy, i, host);
                    break;
                case "stopped":
                    host.Signal(stop: true);
                    await Quietly(Task.Delay(duration, _over.Token));
                    host.Signal(stop: false);
                    break;
                default:
                    await host.SayAsync(what switch { "hangs" => "hang", "slow" => "slow", _ => "reset" });
                    await Quietly(Task.Delay(duration, _over.Token));
                    await host.SayAsync("normal");
                    break;
            }
        }
        finally
        {
            _present.TryRemove(id, out _);
            _past.Enqueue((what, from, Stopwatch.GetTimestamp()));
            while (_past.Count > 200)
                _past.TryDequeue(out _);
        }
    }

    /// <summary>Registers, removes, drains and changes instances that are well.</summary>
    private async Task ComeAndGoAsync()
    {
        var random = new Random(Instances);
        try
        {
            while (true)
            {
                var i = random.Next(Instances);
                switch (random.Next(3))
                {
                    case 0:
                        Count("removed and registered");
                        using (var removed = await _proxy.Api.DeleteAsync($"/services/{Calm}/{Names.Instance(i)}?wait=5"))
                            removed.EnsureSuccessStatusCode();
                        await RegisterAsync(Calm, i, _calm[i]);
                        break;
                    case 1:
                        Count("drained and back");
                        await PatchAsync(i, new { state = "draining" });
                        await Task.Delay(TimeSpan.FromMilliseconds(random.Next(500)), _over.Token);
                        await PatchAsync(i, new { state = "active" });
                        break;
                    default:
                        Count("weight changed");
                        await PatchAsync(i, new { weight = random.Next(1, 5) });
                        break;
                }

                await Task.Delay(TimeSpan.FromMilliseconds(random.Next(1000)), _over.Token);
            }
        }
        catch (OperationCanceledException) when (_over.IsCancellationRequested)
        {
            // Over; one that drains has nothing in flight in a moment.
        }
    }

    private void Count(string what) => _counts.AddOrUpdate(what, 1, static (_, n) => n + 1);

    private async Task PatchAsync(int i, object patch)
    {
        using var content = JsonContent.Create(patch);
        // A merge patch has a length: without one the content is buffered first.
        await content.LoadIntoBufferAsync();
        using var answer = await _proxy.Api.PatchAsync($"/services/{Calm}/{Names.Instance(i)}", content);
        if (!answer.IsSuccessStatusCode)
            throw new InvalidOperationException($"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
    }

    private Task RegisterAsync(string service, int i, SoakHost host) => _proxy.RegisterAsync(service, Names.Instance(i), host.Port, maxConnections: 1000);

    private static async Task Quietly(Task wait)
    {
        try
        {
            await wait;
        }
        catch (OperationCanceledException)
        {
            // The end comes early; what was done is undone all the same.
        }
    }
}

/// <summary>One instance of the soak: a process that may be killed and come back on its port.</summary>
internal sealed class SoakHost : IAsyncDisposable
{
    private const int SigCont = 18;
    private const int SigStop = 19;

    private readonly int _idleMs;
    private ChildProcess _process;

    private SoakHost(ChildProcess process, int port, int idleMs) => (_process, Port, _idleMs) = (process, port, idleMs);

    public int Port { get; }

    public static async Task<SoakHost> StartAsync(int idleMs)
    {
        var process = Start(0, idleMs);
        return new SoakHost(process, int.Parse(await process.LineAsync(SoakInstance.Ready), CultureInfo.InvariantCulture), idleMs);
    }

    public Task KillAsync() => _process.KillAsync();

    public async Task StartAgainAsync()
    {
        await _process.DisposeAsync();
        _process = Start(Port, _idleMs);
        await _process.LineAsync(SoakInstance.Ready);
    }

    /// <summary>Tells it how to be.</summary>
    public Task SayAsync(string mode) => _process.SendAsync(mode);

    /// <summary>Stops the process as it is, connections open, or lets it go on.</summary>
    public void Signal(bool stop) => _process.Signal(stop ? SigStop : SigCont);

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static ChildProcess Start(int port, int idleMs) => ChildProcess.Start(Programs.Dotnet,
        [Programs.Self, SoakInstance.Verb, "--port", port.ToString(CultureInfo.InvariantCulture), "--idle-ms", idleMs.ToString(CultureInfo.InvariantCulture)]);
}
