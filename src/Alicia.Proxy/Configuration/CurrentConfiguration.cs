using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// The configuration that the proxy runs by at this moment. Whoever needs a value reads it here each time instead of keeping it.
/// </summary>
internal sealed class CurrentConfiguration(ProxyConfiguration initial)
{
    private volatile ProxyConfiguration _value = initial;
    private ConfigurationReloadToken _changed = new();

    /// <summary>Never null; replaced as a whole by a reload.</summary>
    public ProxyConfiguration Value
    {
        get => _value;
        internal set
        {
            _value = value;
            Interlocked.Exchange(ref _changed, new ConfigurationReloadToken()).OnReload();
        }
    }

    /// <summary>Fires at the next replacement.</summary>
    public IChangeToken ChangeToken => Volatile.Read(ref _changed);
}
