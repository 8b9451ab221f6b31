using Alicia.Proxy.Balancing;

namespace Alicia.Proxy.Admission;

/// <summary>A slot that is reserved for a request.</summary>
/// <param name="State">The state that decided.</param>
/// <param name="Member">The instance.</param>
/// <param name="Permit">When the request is the trial of a half-open circuit: its permit. Else 0.</param>
internal readonly record struct Admitted(UpstreamState State, PoolMember Member, int Permit)
{
    /// <summary>Gives the slot back unused; without effect on the default value.</summary>
    public void Release()
    {
        if (Member is null)
            return;
        if (Permit != 0)
            Member.Gate.EndTrial(Permit);
        Member.Live.Release();
    }
}
