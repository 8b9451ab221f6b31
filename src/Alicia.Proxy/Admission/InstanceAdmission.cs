using Alicia.Proxy.Balancing;

namespace Alicia.Proxy.Admission;

/// <summary>What came of asking for an instance with a free slot.</summary>
internal enum AdmissionResult
{
    /// <summary>A slot is reserved; the caller must release it.</summary>
    Admitted,

    /// <summary>The service has no instance that takes traffic: none in rotation, or every circuit is open.</summary>
    NoInstance,

    /// <summary>Every instance is at its cap.</summary>
    AllFull,
}

/// <summary>
/// Finds an instance that has room: asks the policy whose turn it is, reserves a slot there, and goes on to another when it is full. The reservation is
/// the cap; a policy alone could not keep it, because between its look and the request others pass.
/// </summary>
internal static class InstanceAdmission
{
    /// <summary>
    /// Picks by policy before the search turns to whoever has room. Three turns skip a full instance or two in the policy's own order; beyond that a service is
    /// so full that order no longer matters, and one look at each instance bounds the search.
    /// </summary>
    private const int PicksByPolicy = 3;

    /// <summary>Times that one request asks again because the registry changed between its look at the state and its slot; one is rare already.</summary>
    private const int MaxOvertakings = 8;

    /// <summary>
    /// Reserves a slot by the state in force, and asks again when a change overtakes the request: the instances that it knew may be closed, and others open.
    /// </summary>
    public static AdmissionResult TryAdmit(Upstream upstream, out UpstreamState state, out PoolMember member)
    {
        for (var overtaken = 0; ; overtaken++)
        {
            state = upstream.State;
            var result = TryAdmit(state, out member);
            if (result == AdmissionResult.Admitted || ReferenceEquals(state, upstream.State) || overtaken == MaxOvertakings)
                return result;
        }
    }

    public static AdmissionResult TryAdmit(UpstreamState upstream, out PoolMember member)
    {
        var pool = upstream.Pool;
        var members = pool.Members;
        member = null!;
        if (members.Length == 0)
            return AdmissionResult.NoInstance;
        for (var pick = Math.Min(PicksByPolicy, members.Length); pick > 0; pick--)
        {
            member = members[upstream.Policy.Pick(pool)];
            if (member.Live.TryReserve())
                return AdmissionResult.Admitted;
        }

        var start = (ulong)pool.NextTurn();
        for (var i = 0UL; i < (ulong)members.Length; i++)
        {
            member = members[(int)((start + i) % (ulong)members.Length)];
            if (member.Live.TryReserve())
                return AdmissionResult.Admitted;
        }

        return AnySlots(members) ? AdmissionResult.AllFull : AdmissionResult.NoInstance;
    }

    /// <summary>Who would get a request now, without reserving: for callers that connect themselves.</summary>
    public static AdmissionResult Preview(UpstreamState upstream, out PoolMember member)
    {
        var pool = upstream.Pool;
        var members = pool.Members;
        member = null!;
        if (members.Length == 0)
            return AdmissionResult.NoInstance;
        for (var pick = 0; pick < 2 * members.Length; pick++)
        {
            member = pick < members.Length ? members[upstream.Policy.Pick(pool)] : members[pick - members.Length];
            if (member.Live.InFlight < member.Live.Slots)
                return AdmissionResult.Admitted;
        }

        return AnySlots(members) ? AdmissionResult.AllFull : AdmissionResult.NoInstance;
    }

    private static bool AnySlots(ReadOnlySpan<PoolMember> members)
    {
        foreach (var member in members)
        {
            if (member.Live.Slots > 0)
                return true;
        }

        return false;
    }
}
