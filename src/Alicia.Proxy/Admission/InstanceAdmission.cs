using Alicia.Proxy.Balancing;
using Alicia.Proxy.Registry.Settings;

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

    /// <summary>Searches of one request before it takes full for an answer; each further one means that some other request has finished.</summary>
    private const int MaxSearches = 100;

    /// <summary>
    /// Reserves a slot by the state in force, and asks again when a change overtakes the request: the instances that it knew may be closed, and others open.
    /// </summary>
    /// <param name="upstream">The service.</param>
    /// <param name="request">The request, for algorithms and settings that look at it.</param>
    /// <param name="tried">Instances that it must not go to, because it has been there; null when it has been nowhere.</param>
    /// <param name="state">The state that decided.</param>
    /// <param name="member">The instance, when admitted.</param>
    /// <param name="permit">When the request is the trial of a half-open circuit: its permit, to be given back. Else 0.</param>
    public static AdmissionResult TryAdmit(Upstream upstream, HttpContext? request, TriedInstances? tried, out UpstreamState state, out PoolMember member, out int permit)
    {
        for (var overtaken = 0; ; overtaken++)
        {
            state = upstream.State;
            var result = tried is null ? TryAdmit(state, request, out member, out permit) : TryElsewhere(state, request, tried, out member, out permit);
            if (result == AdmissionResult.Admitted || ReferenceEquals(state, upstream.State) || overtaken == MaxOvertakings)
                return result;
        }
    }

    public static AdmissionResult TryAdmit(UpstreamState upstream, HttpContext? request, out PoolMember member, out int permit)
    {
        if (upstream.Affinity is { } affinity && request is not null && affinity.Find(request) is { } known)
        {
            // Where every caller is kept with an instance, a half-open one would never get its trial: once that is overdue, it comes first.
            foreach (var tier in upstream.Tiers)
            {
                if (tier.Trials.Length > 0 && TryTrials(tier, sparing: true, out member, out permit))
                    return AdmissionResult.Admitted;
            }

            if (known.Live.TryReserve())
            {
                (member, permit) = (known, 0);
                return AdmissionResult.Admitted;
            }
        }

        var key = upstream.KeyOf(request);
        foreach (var tier in upstream.Tiers)
        {
            if (tier.Trials.Length > 0 && TryTrials(tier, IsSparing(upstream, tier, request), out member, out permit))
                return AdmissionResult.Admitted;

            permit = 0;
            var result = TryTier(tier.Pool, upstream.Policy, key, out member);
            // Full is not gone: backups stand in for instances that cannot be used, not for those that are busy.
            if (result != AdmissionResult.NoInstance)
                return result;
        }

        (member, permit) = (null!, 0);
        return AdmissionResult.NoInstance;
    }

    /// <summary>
    /// The trial of a half-open circuit, before any other choice: for a request that can go elsewhere if the trial fails, so that its caller does not notice. Another is taken only where that would not
    /// help (nobody else to go to, retries off), or when none such has come for a while.
    /// </summary>
    private static bool TryTrials(Tier tier, bool sparing, out PoolMember member, out int permit)
    {
        foreach (var trial in tier.Trials)
        {
            member = trial;
            if (trial.Gate.TryTrial(out permit, onlyIfOverdue: sparing))
                return true;
        }

        (member, permit) = (null!, 0);
        return false;
    }

    private static bool IsSparing(UpstreamState upstream, Tier tier, HttpContext? request) =>
        request is not null && tier.Pool.Count > 0 && upstream.Settings.Get(SettingKeys.RetryAttempts) > 0
        && !Repeatable.CanGoElsewhere(request, upstream.Settings.Get(SettingKeys.RetryBufferBytes));

    /// <summary>
    /// Admission for a request that has been to some instances in vain. A half-open circuit is the last choice: two failures in one request would be one too many.
    /// </summary>
    private static AdmissionResult TryElsewhere(UpstreamState upstream, HttpContext? request, TriedInstances tried, out PoolMember member, out int permit)
    {
        var key = upstream.KeyOf(request);
        permit = 0;
        foreach (var tier in upstream.Tiers)
        {
            var pool = tier.PickedAgain;
            var members = pool.Members;
            for (var pick = Math.Min(PicksByPolicy, members.Length); pick > 0; pick--)
            {
                member = members[upstream.Policy.Pick(pool, key)];
                if (!tried.Contains(member.Live) && member.Live.TryReserve())
                    return AdmissionResult.Admitted;
            }

            var any = false;
            var start = members.Length == 0 ? 0 : pool.NextTurn();
            for (var i = 0; i < members.Length; i++)
            {
                member = members[(int)(((ulong)start + (uint)i) % (uint)members.Length)];
                if (tried.Contains(member.Live))
                    continue;
                if (member.Live.TryReserve())
                    return AdmissionResult.Admitted;
                any |= member.Live.Slots > 0;
            }

            foreach (var trial in tier.Trials)
            {
                member = trial;
                if (!tried.Contains(trial.Live) && trial.Gate.TryTrial(out permit))
                    return AdmissionResult.Admitted;
            }

            permit = 0;
            if (any)
            {
                member = null!;
                return AdmissionResult.AllFull;
            }
        }

        member = null!;
        return AdmissionResult.NoInstance;
    }

    private static AdmissionResult TryTier(Pool pool, BalancingPolicy policy, ulong key, out PoolMember member)
    {
        var members = pool.Members;
        member = null!;
        if (members.Length == 0)
            return AdmissionResult.NoInstance;
        for (var pick = Math.Min(PicksByPolicy, members.Length); pick > 0; pick--)
        {
            member = members[policy.Pick(pool, key)];
            if (member.Live.TryReserve())
                return AdmissionResult.Admitted;
        }

        return TryAny(members, pool.NextTurn(), out member);
    }

    /// <summary>
    /// Looks at every instance, from <paramref name="start"/> on. All full is believed only when no slot came free between the look at each and a second look at all: then there
    /// was a moment at which every one was full. Without that, a slot that moves behind the search would be missed.
    /// </summary>
    private static AdmissionResult TryAny(ReadOnlySpan<PoolMember> members, long start, out PoolMember member)
    {
        for (var search = 0; search < MaxSearches; search++)
        {
            ulong releases = 0;
            for (var i = 0; i < members.Length; i++)
            {
                member = members[(int)(((ulong)start + (uint)i) % (uint)members.Length)];
                if (member.Live.TryReserve(out var seen))
                    return AdmissionResult.Admitted;
                releases += seen;
            }

            var any = false;
            foreach (var candidate in members)
            {
                releases -= candidate.Live.Releases;
                any |= candidate.Live.Slots > 0;
            }

            member = null!;
            if (!any)
                return AdmissionResult.NoInstance;
            if (releases == 0)
                return TryBeyondWarmth(members, out member);
        }

        member = null!;
        return AdmissionResult.AllFull;
    }

    /// <summary>
    /// When the warm ones among the members are all shut, those that are held back beside them take everything; until the publisher has seen to that, in a moment, their small caps must refuse nobody.
    /// </summary>
    private static AdmissionResult TryBeyondWarmth(ReadOnlySpan<PoolMember> members, out PoolMember member)
    {
        member = null!;
        foreach (var candidate in members)
        {
            if (candidate.Live.Slots > 0 && !candidate.Live.IsHeldBack)
                return AdmissionResult.AllFull;
        }

        foreach (var candidate in members)
        {
            member = candidate;
            if (candidate.Live.TryReserveBeyondWarmth())
                return AdmissionResult.Admitted;
        }

        member = null!;
        return AdmissionResult.AllFull;
    }

    /// <summary>Who would get a request now, without reserving: for callers that connect themselves. Their turns are apart from the requests' own.</summary>
    /// <param name="upstream">The service.</param>
    /// <param name="request">The question, whose own fields and address stand for those of a request.</param>
    /// <param name="member">The instance, when there is one.</param>
    public static AdmissionResult Preview(UpstreamState upstream, HttpContext? request, out PoolMember member)
    {
        if (upstream.Affinity is { } affinity && request is not null && affinity.Find(request) is { } known && known.Live.InFlight < known.Live.Slots)
        {
            member = known;
            return AdmissionResult.Admitted;
        }

        var key = upstream.KeyOf(request);
        foreach (var tier in upstream.Tiers)
        {
            var result = Preview(tier.PickedByCallers, upstream.Policy, key, out member);
            if (result != AdmissionResult.NoInstance)
                return result;
        }

        member = null!;
        return AdmissionResult.NoInstance;
    }

    private static AdmissionResult Preview(Pool pool, BalancingPolicy policy, ulong key, out PoolMember member)
    {
        var members = pool.Members;
        member = null!;
        if (members.Length == 0)
            return AdmissionResult.NoInstance;
        for (var pick = Math.Min(PicksByPolicy, members.Length); pick > 0; pick--)
        {
            member = members[policy.Pick(pool, key)];
            if (member.Live.InFlight < member.Live.Slots)
                return AdmissionResult.Admitted;
        }

        foreach (var candidate in members)
        {
            member = candidate;
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
