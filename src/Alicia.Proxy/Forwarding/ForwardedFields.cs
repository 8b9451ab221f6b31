using System.Net;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Says who asked, to instances that see only the proxy: sets <c>X-Forwarded-For</c>, <c>-Proto</c> and <c>-Host</c>, and <c>-Prefix</c> where a prefix was
/// stripped. What a caller sends of that family counts only when it comes from a trusted network; anybody else could claim to be anybody.
/// </summary>
internal static class ForwardedFields
{
    private const string Family = "X-Forwarded-";

    /// <summary>True for fields that the proxy answers for and therefore does not copy.</summary>
    public static bool IsInFamily(string name) => name.Length > Family.Length && name.StartsWith(Family, StringComparison.OrdinalIgnoreCase);

    /// <param name="context">The request as it came.</param>
    /// <param name="outgoing">Takes the fields of the request to the instance.</param>
    /// <param name="strippedPrefix">Beginning of the path that the instance does not see, or empty.</param>
    /// <param name="trusted">Networks whose fields are kept and added to.</param>
    public static void Write<TSink>(HttpContext context, ref TSink outgoing, string strippedPrefix, IReadOnlyList<IPNetwork> trusted)
        where TSink : struct, IFieldSink
    {
        var request = context.Request;
        var remote = context.Connection.RemoteIpAddress;
        if (remote is { IsIPv4MappedToIPv6: true })
            remote = remote.MapToIPv4();
        var address = remote?.ToString() ?? "unknown";
        if (trusted.Count == 0 || remote is null || !IsTrusted(remote, trusted))
        {
            outgoing.Add("X-Forwarded-For", address);
            outgoing.Add("X-Forwarded-Proto", request.Scheme);
            if (request.Headers.Host.Count > 0)
                outgoing.Add("X-Forwarded-Host", request.Headers.Host.ToString());
            if (strippedPrefix.Length > 0)
                outgoing.Add("X-Forwarded-Prefix", strippedPrefix);
            return;
        }

        foreach (var field in request.Headers)
        {
            if (IsInFamily(field.Key) && !IsOwn(field.Key))
                outgoing.Add(field.Key, field.Value);
        }

        outgoing.Add("X-Forwarded-For", Append(request, "X-Forwarded-For", address));
        outgoing.Add("X-Forwarded-Proto", Kept(request, "X-Forwarded-Proto") ?? request.Scheme);
        if ((Kept(request, "X-Forwarded-Host") ?? request.Headers.Host.ToString()) is { Length: > 0 } host)
            outgoing.Add("X-Forwarded-Host", host);
        // Prefixes nest: what the trusted proxy in front stripped comes first.
        if ((Kept(request, "X-Forwarded-Prefix") + strippedPrefix) is { Length: > 0 } prefix)
            outgoing.Add("X-Forwarded-Prefix", prefix);
    }

    /// <summary>Who asks: the sender of the connection, or behind trusted proxies the last one in front of them that is not one itself.</summary>
    public static IPAddress? CallerOf(HttpContext context, IReadOnlyList<IPNetwork> trusted)
    {
        var caller = context.Connection.RemoteIpAddress;
        if (caller is { IsIPv4MappedToIPv6: true })
            caller = caller.MapToIPv4();
        if (trusted.Count == 0 || caller is null || !IsTrusted(caller, trusted) || Kept(context.Request, "X-Forwarded-For") is not { } way)
            return caller;
        foreach (var hop in way.Split(',', StringSplitOptions.TrimEntries).Reverse())
        {
            if (!IPAddress.TryParse(hop, out var before))
                return caller;
            caller = before.IsIPv4MappedToIPv6 ? before.MapToIPv4() : before;
            if (!IsTrusted(caller, trusted))
                return caller;
        }

        return caller;
    }

    private static bool IsTrusted(IPAddress remote, IReadOnlyList<IPNetwork> trusted)
    {
        for (var i = 0; i < trusted.Count; i++)
        {
            if (trusted[i].Contains(remote))
                return true;
        }

        return false;
    }

    private static bool IsOwn(string name) =>
        name.Equals("X-Forwarded-For", StringComparison.OrdinalIgnoreCase) || name.Equals("X-Forwarded-Proto", StringComparison.OrdinalIgnoreCase)
        || name.Equals("X-Forwarded-Host", StringComparison.OrdinalIgnoreCase) || name.Equals("X-Forwarded-Prefix", StringComparison.OrdinalIgnoreCase);

    private static string? Kept(HttpRequest request, string name) =>
        request.Headers.TryGetValue(name, out var values) && values.Count > 0 ? string.Join(", ", (IEnumerable<string?>)values) : null;

    private static string Append(HttpRequest request, string name, string value) => Kept(request, name) is { } before ? $"{before}, {value}" : value;
}
