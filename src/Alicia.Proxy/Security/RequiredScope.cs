using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Security;

/// <summary>Endpoint metadata: the scope that a key needs for it. An endpoint without it takes any valid key.</summary>
/// <param name="Scope">One scope; <see cref="ApiScopes.None"/> opens the endpoint to everybody.</param>
internal sealed record RequiredScope(ApiScopes Scope);

/// <summary>
/// Endpoint metadata: needs no key while <c>Metrics:Public</c> says so, and else one that is good for every service, because the page shows all of them.
/// </summary>
internal sealed class OpenWhenMetricsArePublic
{
    public static readonly OpenWhenMetricsArePublic Metadata = new();
}

/// <summary>Endpoint metadata: the body is not ours to judge; any media type and size may come.</summary>
internal sealed class AnyBody
{
    public static readonly AnyBody Allowed = new();
}
