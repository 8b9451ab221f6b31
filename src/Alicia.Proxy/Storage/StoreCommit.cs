using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Storage;

/// <summary>What every store asks of a commit, whatever it writes to.</summary>
internal static class StoreCommit
{
    /// <exception cref="ArgumentException">A revision that does not rise, or an instance that is never stored; a bug of the caller.</exception>
    public static void Check(long expectedRevision, long newRevision, IReadOnlyList<StoreChange> changes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(expectedRevision);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(newRevision, expectedRevision);
        foreach (var change in changes)
        {
            if (change is not StoreChange.PutInstance { Instance: var instance })
                continue;
            if (instance.Leaving)
                throw new ArgumentException($"{instance.InstanceId} is leaving, and so is not stored", nameof(changes));
            if (instance.Source == RegistrationSource.Config)
                throw new ArgumentException($"{instance.InstanceId} belongs to configuration, and so is not stored", nameof(changes));
        }
    }
}
