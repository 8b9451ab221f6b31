using System.Text.RegularExpressions;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Routing;
using Yarp.ReverseProxy.Configuration;

namespace Alicia.Proxy.Corpus.Parsers;

/// <summary>Targets.</summary>
internal sealed partial class RequestTargetProperty() : ParserProperty("RequestTarget", "finds dot segments in whatever spelling, whatever stands beside them; path, first segment and what is left of them are pieces of the target")
{
    private static readonly string[] Parts = ["/", "/", ".", "..", "%2e", "%2E", "%2f", "%5C", "\\", ";", "a", "%", "%a", "%zz", "?", "...", "%25", "%2", "service", "://", "é"];

    public override void Check(Random random)
    {
        var path = "/" + random.Text(Parts, 8);
        Require(RequestTarget.HasDotSegments(path) == HasDots(path), "dot segments", path);
        Require(RequestTarget.PathAndQuery(path) == path, "a path is not its own path", path);
        var authority = random.Of("a", "a:80", "[::1]:8", "b.example");
        var absolute = RequestTarget.PathAndQuery(random.Of("http://", "https://") + authority + (random.Next(3) == 0 ? "?" + path : path));
        Require(absolute == path || absolute == "/?" + path, $"of an absolute target '{absolute}' is left", path);
        Require(RequestTarget.PathAndQuery("*").Length == 0 && RequestTarget.PathAndQuery(authority).Length == 0, "a target without a path has one", authority);

        var first = RequestTarget.FirstSegment(path).ToString();
        Require(first == path[1..].Split('/', '?')[0], $"first segment '{first}'", path);
        var rest = RequestTarget.Strip(path, 1 + first.Length);
        Require(rest.StartsWith('/') && (path == "/" + first + rest || path == "/" + first + rest[1..]), $"left over '{rest}'", path);
    }

    private static bool HasDots(string path) =>
        Separator().Split(Dot().Replace(path.Split('?')[0], ".")).Any(segment => segment is "." or "..");

    [GeneratedRegex("%2e", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Dot();

    [GeneratedRegex(@"/|\\|;|%2f|%5c", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Separator();
}

/// <summary>Declared routes.</summary>
internal sealed class DeclaredRouteProperty() : ParserProperty("DeclaredRouteMatch", "matches a target that has each literal segment in its place as it was written, and no other")
{
    private static readonly string[] Segments = ["a", "b", "A", "%61", "", "v1", "a?"];

    public override void Check(Random random)
    {
        var template = new List<string>();
        for (var i = random.Next(1, 4); i > 0; i--)
            template.Add(random.Of("a", "b", "v1", $"{{p{i}}}"));
        if (random.Next(3) == 0)
            template.Add("{**rest}");
        var match = new DeclaredRouteMatch(new RouteConfig { RouteId = "r", ClusterId = "s", Match = new RouteMatch { Path = "/" + string.Join('/', template) } });
        var target = "/" + string.Join('/', Enumerable.Range(0, random.Next(5)).Select(_ => random.Of<string>(Segments))) + random.Of("", "?a/b", "?");

        var path = target.Split('?')[0][1..].Split('/');
        var expected = true;
        for (var i = 0; i < template.Count && !template[i].StartsWith("{*", StringComparison.Ordinal); i++)
            expected &= template[i].StartsWith('{') || template[i] == path.ElementAtOrDefault(i);
        Require(match.Matches(target) == expected, $"/{string.Join('/', template)} {(expected ? "does not match" : "matches")}", target);
    }
}

/// <summary>What logs show of a target.</summary>
internal sealed class RedactionProperty() : ParserProperty("Redaction", "shows no value of a secret parameter, leaves the path as it is, and what is clean stays so")
{
    private const string Secret = "Zq7Zq7Zq7";

    private static readonly string[] Names = ["token", "access_token", "api_key", "X-Amz-Signature", "pass%77ord", "sid", "client-secret", "Key"];
    private static readonly string[] Parts = ["a=1", "&", ";", "q=x%20y", "=", "%", "&&", "redirect=/b%3Fc%3D1", "?", "sort=asc", "é"];

    public override void Check(Random random)
    {
        var path = "/" + random.Text(["a", "/", "%2F", "."], 4);
        var target = $"{path}?{random.Text(Parts, 4)}&{random.Of<string>(Names)}={Secret}{random.Of("&", ";", "")}{random.Text(Parts, 4)}";
        // Behind a parameter without a separator the rest belongs to its value.
        var clean = Redaction.Target(target);
        Require(!clean.Contains(Secret, StringComparison.Ordinal), "shows it", target);
        Require(clean.StartsWith(path + "?", StringComparison.Ordinal) && Redaction.Target(clean) == clean, $"'{clean}'", target);
        var url = Redaction.Url($"https://user:{Secret}@host{target}#{Secret}");
        Require(!url.Contains(Secret, StringComparison.Ordinal), "shows it in a URL", target);
        _ = Redaction.Url(random.Mutated(target));
    }
}
