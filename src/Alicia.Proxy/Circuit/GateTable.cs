using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace Alicia.Proxy.Circuit;

/// <summary>Finds the gate of an instance by epoch. Control path; requests hold the gates themselves.</summary>
internal sealed class GateTable
{
    private readonly ConcurrentDictionary<long, InstanceGate> _gates = new();

    /// <summary>The gate of an epoch, made by <paramref name="make"/> when there is none.</summary>
    public InstanceGate GetOrAdd(long epoch, Func<InstanceGate> make) => _gates.GetOrAdd(epoch, _ => make());

    public bool TryGet(long epoch, [NotNullWhen(true)] out InstanceGate? gate) => _gates.TryGetValue(epoch, out gate);

    /// <summary>Every gate that has not been retired.</summary>
    public IEnumerable<InstanceGate> All => _gates.Values;

    public void Retire(long epoch)
    {
        if (_gates.TryRemove(epoch, out var gate))
            gate.Retire();
    }
}
