using Alicia.Proxy.Http1;

namespace Alicia.Proxy.Callers;

/// <summary>What configuration allows callers, as far as it is not the server's to enforce; changes while running. What is set applies to requests and connections that begin afterwards.</summary>
internal sealed class CallerLimits
{
    private Values _current = new(new RequestLimits(32 * 1024, 64 * 1024, 500, null), TimeSpan.FromSeconds(10), null, null);

    public Values Current
    {
        get => Volatile.Read(ref _current);
        set => Volatile.Write(ref _current, value);
    }

    /// <param name="Requests">Of every request.</param>
    /// <param name="HeadTimeout">How long the head of a request may take from its first byte, and the first byte from the opening of the connection.</param>
    /// <param name="Connections">Of all callers; null for any number.</param>
    /// <param name="ConnectionsPerAddress">Of one caller; null for any number.</param>
    internal sealed record Values(RequestLimits Requests, TimeSpan HeadTimeout, long? Connections, long? ConnectionsPerAddress);
}
