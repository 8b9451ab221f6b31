using System.Net;

namespace Alicia.Proxy.Forwarding;

/// <summary>What configuration says about forwarding as a whole; changes while running.</summary>
internal sealed class ForwardingOptions
{
    private IReadOnlyList<IPNetwork> _trusted = [];
    private bool _recording;

    /// <summary>Networks whose <c>X-Forwarded-*</c> fields are kept and added to.</summary>
    public IReadOnlyList<IPNetwork> Trusted
    {
        get => Volatile.Read(ref _trusted);
        set => Volatile.Write(ref _trusted, value);
    }

    /// <summary>True while some requests have a <see cref="RequestRecord"/>. While it is false nobody looks for one.</summary>
    public bool Recording
    {
        get => Volatile.Read(ref _recording);
        set => Volatile.Write(ref _recording, value);
    }
}
