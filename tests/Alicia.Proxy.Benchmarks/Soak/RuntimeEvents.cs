using System.Diagnostics.Tracing;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing;

namespace Alicia.Proxy.Benchmarks.Soak;

/// <summary>Asks the runtime of another process, by the channel that every .NET process has for diagnosis: nothing of this is in the proxy.</summary>
internal static class RuntimeEvents
{
    private const string Runtime = "Microsoft-Windows-DotNETRuntime";

    /// <summary>A session with this keyword begins with a full collection.</summary>
    private const long CollectHeap = 0x800000;

    /// <summary>Has a process collect all of its heap; it does so a moment later.</summary>
    public static async Task CollectAsync(int process)
    {
        using var session = new DiagnosticsClient(process).StartEventPipeSession(new EventPipeProvider(Runtime, EventLevel.Informational, CollectHeap), requestRundown: false, circularBufferMB: 1);
        var drained = session.EventStream.CopyToAsync(Stream.Null);
        session.Stop();
        await drained;
    }
}

/// <summary>Books of the arrays that a process takes from the shared pools of the runtime and gives back, kept from its events while this lives.</summary>
internal sealed class PooledArrays : IDisposable
{
    private const string Pools = "System.Buffers.ArrayPoolEventSource";

    private readonly EventPipeSession _session;
    private readonly EventPipeEventSource _source;
    private readonly Task _reading;
    private readonly Dictionary<(int Pool, int Array), (int Size, int Out)> _out = [];
    private readonly Lock _lock = new();
    private long _rented;
    private long _returned;

    public PooledArrays(int process)
    {
        _session = new DiagnosticsClient(process).StartEventPipeSession(new EventPipeProvider(Pools, EventLevel.Verbose), requestRundown: false, circularBufferMB: 256);
        _source = new EventPipeEventSource(_session.EventStream);
        _source.Dynamic.All += Book;
        _reading = Task.Factory.StartNew(() => _source.Process(), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>Ends the books.</summary>
    /// <returns>Arrays taken and given back since they were opened; events that were lost, which must be none; and the sizes of those that were taken and not given back.</returns>
    public async Task<(long Rented, long Returned, int Lost, IReadOnlyList<int> Missing)> CloseAsync()
    {
        _session.Stop();
        await _reading;
        lock (_lock)
            return (_rented, _returned, _source.EventsLost, [.. _out.Values.Where(a => a.Out > 0).Select(a => a.Size)]);
    }

    public void Dispose()
    {
        _source.Dispose();
        _session.Dispose();
    }

    private void Book(TraceEvent e)
    {
        if (e.ProviderName != Pools)
            return;
        var change = e.EventName switch { "BufferRented" => 1, "BufferReturned" => -1, _ => 0 };
        if (change == 0)
            return;
        var key = ((int)e.PayloadByName("poolId"), (int)e.PayloadByName("bufferId"));
        lock (_lock)
        {
            _ = change > 0 ? _rented++ : _returned++;
            // Of an array that was taken before the books were opened only the return is seen.
            if (change > 0)
                _out[key] = ((int)e.PayloadByName("bufferSize"), _out.GetValueOrDefault(key).Out + 1);
            else if (_out.TryGetValue(key, out var taken))
                _out[key] = (taken.Size, Math.Max(0, taken.Out - 1));
        }
    }
}
