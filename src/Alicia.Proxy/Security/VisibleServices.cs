using System.Collections.Immutable;

namespace Alicia.Proxy.Security;

/// <summary>The services that the caller's key is good for, on requests of a key that is not good for all: lists show only these.</summary>
internal sealed class VisibleServices(ImmutableSortedSet<string> names)
{
    /// <summary>True when the caller may see the service.</summary>
    public static bool Shows(HttpContext context, string service) => context.Features.Get<VisibleServices>()?.Contains(service) ?? true;

    /// <summary>True when the caller's key is good for some services only.</summary>
    public static bool AreSome(HttpContext context) => context.Features.Get<VisibleServices>() is not null;

    private bool Contains(string service) => names.Contains(service);
}
