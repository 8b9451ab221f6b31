using System.Net;

namespace Alicia.Proxy.Forwarding;

/// <summary>What configuration says about forwarding as a whole; changes while running.</summary>
internal sealed class ForwardingOptions
{
    private IReadOnlyList<IPNetwork> _trusted = [];

    /// <summary>Networks whose <c>X-Forwarded-*</c> fields are kept and added to.</summary>
    public IReadOnlyList<IPNetwork> Trusted
    {
        get => Volatile.Read(ref _trusted);
        set => Volatile.Write(ref _trusted, value);
    }
}
