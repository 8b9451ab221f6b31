using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace Alicia.Proxy.Registry.Validation;

/// <summary>A declared route as a caller wrote it. Null: left out.</summary>
internal sealed record RouteRequest(IReadOnlyList<string>? Hosts, string? Path, string? StripPrefix);

/// <summary>The rules for one declared route, whoever else declares what (that is <see cref="RouteCollisions"/>).</summary>
internal static partial class RouteRules
{
    public const int MaxRoutes = 64;
    private const int MaxHosts = 32;

    /// <summary>Checks a service's routes. The faults' fields begin with <paramref name="field"/>, such as <c>routes[0].path</c>.</summary>
    public static ImmutableArray<DeclaredRoute> Validate(IReadOnlyList<RouteRequest> routes, string field, FaultList faults)
    {
        if (routes.Count > MaxRoutes)
            faults.Add(field, $"must be at most {MaxRoutes} routes");
        var valid = ImmutableArray.CreateBuilder<DeclaredRoute>(routes.Count);
        for (var i = 0; i < routes.Count; i++)
            valid.Add(ValidateOne(routes[i], $"{field}[{i}]", faults));
        return valid.ToImmutable();
    }

    /// <summary>Segments of a path template without the leading slash.</summary>
    public static string[] Segments(string? path) => path is null ? ["{**any}"] : path[1..].Split('/');

    public static bool IsParameter(string segment) => segment.StartsWith('{') && !IsCatchAll(segment);

    public static bool IsCatchAll(string segment) => segment.StartsWith("{*", StringComparison.Ordinal);

    private static DeclaredRoute ValidateOne(RouteRequest route, string field, FaultList faults)
    {
        var hosts = (route.Hosts ?? []).Select(h => h.ToLowerInvariant()).Distinct(StringComparer.Ordinal).ToImmutableArray();
        if (hosts.Length > MaxHosts)
            faults.Add(field + ".hosts", $"must be at most {MaxHosts} hosts");
        foreach (var host in hosts.Where(h => !HostPattern().IsMatch(h)))
            faults.Add(field + ".hosts", $"'{host}' must be a host name, exact or with '*.' in front, without scheme, port or path");
        if (hosts.IsEmpty && route.Path is null)
            faults.Add(field, "needs hosts, a path, or both");

        var pathIsGood = route.Path is null || CheckPath(route.Path, field + ".path", faults);
        if (pathIsGood && hosts.IsEmpty && route.Path is not null && (Segments(route.Path)[0] is "" or ['{', ..]))
            faults.Add(field + ".path", "must begin with a literal segment where there are no hosts, or it would take every service's requests");
        if (route.StripPrefix is not null && pathIsGood)
            CheckStripPrefix(route, field + ".strip_prefix", faults);
        return new DeclaredRoute(hosts, route.Path, route.StripPrefix is "/" or "" ? null : route.StripPrefix);
    }

    private static bool CheckPath(string path, string field, FaultList faults)
    {
        if (path.Length is 0 or > 512 || path[0] != '/')
        {
            faults.Add(field, "must begin with '/' and have at most 512 characters");
            return false;
        }

        var segments = Segments(path);
        var good = true;
        for (var i = 0; i < segments.Length; i++)
        {
            var segment = segments[i];
            var last = i == segments.Length - 1;
            // "/" alone, and a final slash, are an empty last segment; an empty one in between never matches anything.
            if (segment.Length == 0 && last)
                continue;
            if (IsCatchAll(segment) ? last && CatchAllPattern().IsMatch(segment) : segment is not ("." or "..") && SegmentPattern().IsMatch(segment))
                continue;
            faults.Add(field, $"segment '{segment}' must be literal text without percent-encoding or dot segments, {{name}}, or a final {{**name}}");
            good = false;
        }

        // The matcher throws on such a template, and every service's routes would be refused with it.
        var parameters = segments.Where(s => s.StartsWith('{')).Select(s => s.Trim('{', '*', '}')).ToList();
        if (good && parameters.Distinct(StringComparer.OrdinalIgnoreCase).Count() < parameters.Count)
        {
            faults.Add(field, "must not use a parameter name twice");
            good = false;
        }

        return good;
    }

    private static void CheckStripPrefix(RouteRequest route, string field, FaultList faults)
    {
        var prefix = route.StripPrefix!;
        if (prefix is "/" or "")
            return;
        var segments = Segments(route.Path);
        var prefixSegments = prefix.StartsWith('/') ? prefix[1..].Split('/') : [];
        var matches = prefixSegments.Length > 0 && prefixSegments.Length <= segments.Length
            && prefixSegments.Zip(segments).All(pair => pair.First == pair.Second && pair.First.Length > 0 && pair.First[0] != '{');
        if (!matches)
            faults.Add(field, "must be the literal beginning of path, whole segments without a final slash, such as /v1/tts for /v1/tts/{**rest}");
    }

    [GeneratedRegex(@"\A(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\z", RegexOptions.CultureInvariant)]
    private static partial Regex HostPattern();

    [GeneratedRegex(@"\A([A-Za-z0-9._~!$&'()+,;=:@-]+|\{[A-Za-z_][A-Za-z0-9_]*\})\z", RegexOptions.CultureInvariant)]
    private static partial Regex SegmentPattern();

    [GeneratedRegex(@"\A\{\*\*?[A-Za-z_][A-Za-z0-9_]*\}\z", RegexOptions.CultureInvariant)]
    private static partial Regex CatchAllPattern();
}
