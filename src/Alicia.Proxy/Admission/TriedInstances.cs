using Alicia.Proxy.Live;

namespace Alicia.Proxy.Admission;

/// <summary>Instances that a request has been to without success. Made with the first such attempt; a handful at most, so it is searched from end to end.</summary>
internal sealed class TriedInstances
{
    private readonly List<(InstanceLive Live, bool Unsent)> _tried = new(2);

    /// <param name="live">The instance.</param>
    /// <param name="unsent">True when it could not be reached: a request goes there once and no more.</param>
    public void Add(InstanceLive live, bool unsent) => _tried.Add((live, unsent));

    public bool Contains(InstanceLive live)
    {
        foreach (var (tried, _) in _tried)
        {
            if (ReferenceEquals(tried, live))
                return true;
        }

        return false;
    }

    /// <summary>Those that were reached may be asked again.</summary>
    public void ForgiveReached() => _tried.RemoveAll(static t => !t.Unsent);
}
