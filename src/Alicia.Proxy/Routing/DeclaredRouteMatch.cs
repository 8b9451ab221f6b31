using Alicia.Proxy.Registry.Validation;
using Microsoft.AspNetCore.Routing.Matching;
using Yarp.ReverseProxy.Configuration;

namespace Alicia.Proxy.Routing;

/// <summary>
/// A declared route's literal segments, to be found in the raw target byte for byte. ASP.NET Core matches the decoded path without case; a target matches a
/// declared route only as it was written.
/// </summary>
internal sealed class DeclaredRouteMatch
{
    /// <summary>Key under which a route's metadata carries its strip prefix.</summary>
    public const string StripPrefixKey = "strip_prefix";

    private readonly string[] _segments;

    public DeclaredRouteMatch(RouteConfig route)
    {
        Service = route.ClusterId!;
        StripPrefix = route.Metadata?.GetValueOrDefault(StripPrefixKey);
        _segments = RouteRules.Segments(route.Match.Path);
    }

    public string Service { get; }

    /// <summary>Beginning of the target that the instance does not see, or null.</summary>
    public string? StripPrefix { get; }

    /// <summary>True when every literal segment stands in <paramref name="pathAndQuery"/> as it was declared.</summary>
    public bool Matches(string pathAndQuery)
    {
        var query = pathAndQuery.IndexOf('?');
        var path = query < 0 ? pathAndQuery.AsSpan() : pathAndQuery.AsSpan(0, query);
        var rest = path.Length > 0 ? path[1..] : path;
        foreach (var expected in _segments)
        {
            if (RouteRules.IsCatchAll(expected))
                return true;
            var slash = rest.IndexOf('/');
            var actual = slash < 0 ? rest : rest[..slash];
            if (!RouteRules.IsParameter(expected) && !actual.SequenceEqual(expected))
                return false;
            rest = slash < 0 ? default : rest[(slash + 1)..];
        }

        return true;
    }
}

/// <summary>Drops declared routes whose literals are not in the raw target as written, so that the next best route is taken.</summary>
internal sealed class RawTargetMatcherPolicy : MatcherPolicy, IEndpointSelectorPolicy
{
    // After the host policy, before anything that looks at what is left.
    public override int Order => 1000;

    public bool AppliesToEndpoints(IReadOnlyList<Endpoint> endpoints) => endpoints.Any(e => e.Metadata.GetMetadata<DeclaredRouteMatch>() is not null);

    public Task ApplyAsync(HttpContext httpContext, CandidateSet candidates)
    {
        var target = RequestTarget.PathAndQuery(httpContext.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestFeature>()!.RawTarget);
        for (var i = 0; i < candidates.Count; i++)
        {
            if (candidates.IsValidCandidate(i)
                && candidates[i].Endpoint.Metadata.GetMetadata<DeclaredRouteMatch>() is { } match
                && !match.Matches(target))
            {
                candidates.SetValidity(i, false);
            }
        }

        return Task.CompletedTask;
    }
}
