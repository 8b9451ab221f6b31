namespace Alicia.Proxy.Registry.Validation;

/// <summary>
/// Finds declared routes that would make it a matter of chance, or of registration order, which service gets a request: two of equal precedence that one
/// request can match, and one that covers another service's built-in prefix or host.
/// </summary>
internal static class RouteCollisions
{
    /// <summary>The first collision between <paramref name="candidate"/>'s routes or name and any other service, in words that name both, or null.</summary>
    public static string? Find(RegistrySnapshot snapshot, Service candidate)
    {
        foreach (var other in snapshot.Services.Values)
        {
            if (other.Name == candidate.Name)
                continue;
            var collision = Covers(candidate, other, snapshot.Rules) ?? Covers(other, candidate, snapshot.Rules) ?? Overlap(candidate, other);
            if (collision is not null)
                return collision;
        }

        return Repeated(candidate);
    }

    private static string? Covers(Service declaring, Service named, RegistryRules rules)
    {
        var builtInHost = $"{named.Name}.{rules.Domain}";
        foreach (var route in declaring.Routes)
        {
            if (route.Hosts.IsEmpty && rules.PathPrefix && string.Equals(RouteRules.Segments(route.Path)[0], named.Name, StringComparison.Ordinal))
                return $"Route '{route}' of service '{declaring.Name}' starts with the name of service '{named.Name}'.";
            if (route.Hosts.Any(h => HostMatches(h, builtInHost)))
                return $"Route '{route}' of service '{declaring.Name}' takes the host of service '{named.Name}'.";
        }

        return null;
    }

    private static string? Overlap(Service first, Service second)
    {
        foreach (var a in first.Routes)
        {
            foreach (var b in second.Routes)
            {
                if (Collide(a, b))
                    return $"Route '{a}' of service '{first.Name}' and route '{b}' of service '{second.Name}' match the same requests with equal precedence.";
            }
        }

        return null;
    }

    private static string? Repeated(Service service)
    {
        for (var i = 0; i < service.Routes.Length; i++)
        {
            for (var j = i + 1; j < service.Routes.Length; j++)
            {
                if (Collide(service.Routes[i], service.Routes[j]))
                    return $"Routes '{service.Routes[i]}' and '{service.Routes[j]}' of service '{service.Name}' match the same requests with equal precedence.";
            }
        }

        return null;
    }

    private static bool Collide(DeclaredRoute a, DeclaredRoute b) => PathsCollide(a.Path, b.Path) && HostsCollide(a, b);

    /// <summary>
    /// Routing prefers a literal segment to a parameter and a parameter to a catch-all, from left to right. Two templates are of equal precedence only when
    /// they have the same kinds in the same places; then they overlap unless two literals differ (case counts, as it does in targets).
    /// </summary>
    private static bool PathsCollide(string? a, string? b)
    {
        var first = Trimmed(a);
        var second = Trimmed(b);
        if (first.Length != second.Length)
            return false;
        for (var i = 0; i < first.Length; i++)
        {
            if (Kind(first[i]) != Kind(second[i]))
                return false;
            if (Kind(first[i]) == 0 && !string.Equals(first[i], second[i], StringComparison.Ordinal))
                return false;
        }

        return true;

        static int Kind(string segment) => RouteRules.IsCatchAll(segment) ? 2 : RouteRules.IsParameter(segment) ? 1 : 0;

        // Matching does not tell /a from /a/.
        static string[] Trimmed(string? path)
        {
            var segments = RouteRules.Segments(path);
            return segments[^1].Length == 0 ? segments[..^1] : segments;
        }
    }

    /// <summary>An exact host beats a wildcard and a wildcard beats any host, so only hosts of the same kind collide; of two wildcards neither is preferred.</summary>
    private static bool HostsCollide(DeclaredRoute a, DeclaredRoute b)
    {
        if (a.Hosts.IsEmpty || b.Hosts.IsEmpty)
            return a.Hosts.IsEmpty && b.Hosts.IsEmpty;
        return a.Hosts.Any(x => b.Hosts.Any(y => x == y || (IsWildcard(x) && IsWildcard(y) && (x.EndsWith(y[1..], StringComparison.Ordinal) || y.EndsWith(x[1..], StringComparison.Ordinal)))));
    }

    private static bool HostMatches(string declared, string host) =>
        IsWildcard(declared) ? host.EndsWith(declared[1..], StringComparison.OrdinalIgnoreCase) : host.Equals(declared, StringComparison.OrdinalIgnoreCase);

    private static bool IsWildcard(string host) => host.StartsWith("*.", StringComparison.Ordinal);
}
