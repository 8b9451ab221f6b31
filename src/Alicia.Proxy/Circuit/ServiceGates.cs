namespace Alicia.Proxy.Circuit;

/// <summary>The gates of one service's instances that requests may go to, as far as the registry knows: what one gate has to know of the others.</summary>
internal sealed class ServiceGates
{
    private InstanceGate[] _members = [];
    private int _maxEjectionPercent = 100;

    /// <summary>
    /// Held while a gate looks at the others and opens because of what it saw: of two that reach their threshold at the same moment, the second sees the first one open. Taken
    /// before a gate's own lock.
    /// </summary>
    public Lock Openings { get; } = new();

    /// <summary>Takes over who is in the rotation, and the share of it that circuits may take out, 0–100.</summary>
    public void Use(InstanceGate[] members, int maxEjectionPercent)
    {
        Volatile.Write(ref _maxEjectionPercent, maxEjectionPercent);
        Volatile.Write(ref _members, members);
    }

    /// <summary>True when requests have another instance to go to.</summary>
    public bool HasOther(InstanceGate gate)
    {
        foreach (var other in Volatile.Read(ref _members))
        {
            if (other != gate && other.Standing == GateStanding.Usable)
                return true;
        }

        return false;
    }

    /// <summary>True when one circuit more may open without taking out more than the share that the service allows.</summary>
    public bool MayEject(InstanceGate gate)
    {
        var percent = Volatile.Read(ref _maxEjectionPercent);
        if (percent >= 100)
            return true;
        var members = Volatile.Read(ref _members);
        var ejected = 1;
        foreach (var other in members)
        {
            if (other != gate && other.CircuitOut)
                ejected++;
        }

        return (long)ejected * 100 <= (long)members.Length * percent;
    }
}
