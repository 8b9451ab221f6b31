using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Validation;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Registry;

public sealed class RouteRuleTests
{
    private readonly Drafts _registry = new();

    [Theory]
    [InlineData("/v1")]
    [InlineData("/v1/")]
    [InlineData("/v1/tts/{**rest}")]
    [InlineData("/v1/{voice}/speak")]
    [InlineData("/v1/{*rest}")]
    [InlineData("/.well-known/x")]
    [InlineData("/a...b/~x/$&'()+,;=:@")]
    public void Good_paths(string path) => Faults(Route(path)).Should().BeEmpty();

    [Theory]
    [InlineData("")]
    [InlineData("v1")]
    [InlineData("/")]
    [InlineData("/{**rest}")]
    [InlineData("/{voice}/x")]
    [InlineData("/v1//x")]
    [InlineData("/v1/../x")]
    [InlineData("/v1/./x")]
    [InlineData("/v1/%74ts")]
    [InlineData("/v1/a b")]
    [InlineData("/v1/x?y")]
    [InlineData("/v1/x*")]
    [InlineData("/v1/{**rest}/x")]
    [InlineData("/v1/x{y}")]
    [InlineData("/v1/{y}{z}")]
    [InlineData("/v1/{1y}")]
    [InlineData("/v1/{y:int}")]
    [InlineData("/v1/{y?}")]
    [InlineData("/v1/{y}/{y}")]
    [InlineData("/v1/{y}/{Y}")]
    [InlineData("/v1/{y}/{**y}")]
    [InlineData("/v1/x\n")]
    public void Bad_paths(string path) => Faults(Route(path)).Should().Equal("routes[0].path");

    [Theory]
    [InlineData("tts.example.org", true)]
    [InlineData("TTS.Example.org", true)]
    [InlineData("*.example.org", true)]
    [InlineData("my_container", true)]
    [InlineData("*", false)]
    [InlineData("*.", false)]
    [InlineData("a.*.b", false)]
    [InlineData("a.b.", false)]
    [InlineData("a:80", false)]
    [InlineData("http://a", false)]
    [InlineData("", false)]
    [InlineData("a\n", false)]
    public void Hosts(string host, bool valid) => Faults(Route("/x", host)).Should().Equal(valid ? [] : ["routes[0].hosts"]);

    [Theory]
    [InlineData("/v1/tts/{**rest}", "/v1/tts", true)]
    [InlineData("/v1/tts/{**rest}", "/v1", true)]
    [InlineData("/v1/tts", "/v1/tts", true)]
    [InlineData("/v1/tts", "/", true)]
    [InlineData("/v1/tts", "", true)]
    [InlineData("/v1/tts/{**rest}", "/v1/tt", false)]
    [InlineData("/v1/tts/{**rest}", "/v1/tts/", false)]
    [InlineData("/v1/tts/{**rest}", "v1", false)]
    [InlineData("/v1/tts/{**rest}", "/v1/tts/{**rest}", false)]
    [InlineData("/v1/{a}/x", "/v1/{a}", false)]
    [InlineData("/v1", "/v1/tts", false)]
    [InlineData("/v1", "/V1", false)]
    public void Strip_prefixes(string path, string prefix, bool valid) =>
        Faults(new RouteRequest(null, path, prefix)).Should().Equal(valid ? [] : ["routes[0].strip_prefix"]);

    [Fact]
    public void A_route_needs_hosts_or_a_path_and_there_are_at_most_64_with_32_hosts_each()
    {
        Faults(new RouteRequest(null, null, null)).Should().Equal("routes[0]");
        Faults(new RouteRequest(["a"], null, null)).Should().BeEmpty();
        Faults([.. Enumerable.Range(0, 64).Select(i => Route($"/p{i}"))]).Should().BeEmpty();
        Faults([.. Enumerable.Range(0, 65).Select(i => Route($"/p{i}"))]).Should().Equal("routes");
        Faults(Route("/x", [.. Enumerable.Range(0, 32).Select(i => $"h{i}")])).Should().BeEmpty();
        Faults(Route("/x", [.. Enumerable.Range(0, 33).Select(i => $"h{i}")])).Should().Equal("routes[0].hosts");
    }

    [Theory]
    [InlineData("/v1/{**rest}", "", "/v1/{**other}", "")]
    [InlineData("/v1/x", "", "/v1/x/", "")]
    [InlineData("/v1/{a}", "", "/v1/{b}", "")]
    [InlineData("/v1/{a}/x", "", "/v1/{b}/x", "")]
    [InlineData("/v1", "a.org", "/v1", "b.org,A.org")]
    [InlineData("/v1", "*.a.org", "/v1", "*.a.org")]
    [InlineData("/v1", "*.a.org", "/v1", "*.b.a.org")]
    [InlineData(null, "a.org", null, "a.org")]
    public void Routes_of_equal_precedence_that_one_request_can_match_are_refused_with_both_names(string? path, string hosts, string? otherPath, string otherHosts)
    {
        _registry.Do(Put("first", null, Route(path, Split(hosts))));
        var detail = _registry.Refused(Put("second", null, Route(otherPath, Split(otherHosts))), RejectionKind.Conflict).Detail;
        detail.Should().Contain("'first'").And.Contain("'second'");
        _registry.Snapshot.Services.Should().NotContainKey("second");
        _registry.Refused(Put("third", null, Route(path, Split(hosts)), Route(otherPath, Split(otherHosts))), RejectionKind.Conflict);
    }

    [Theory]
    [InlineData("/v1/x", "", "/v1/{a}", "")]
    [InlineData("/v1/{a}", "", "/v1/{**a}", "")]
    [InlineData("/v1/x", "", "/v1/X", "")]
    [InlineData("/v1/{a}/x", "", "/v1/{a}/y", "")]
    [InlineData("/v1/{a}/x", "", "/v1/b/{y}", "")]
    [InlineData("/v1", "a.org", "/v1", "")]
    [InlineData("/v1", "a.org", "/v1", "b.org")]
    [InlineData("/v1", "a.org", "/v1", "*.org")]
    [InlineData("/v1", "*.a.org", "/v1", "*.b.org")]
    [InlineData("/v1", "*.a.org", "/v1", "*.ba.org")]
    public void Routes_of_which_one_is_preferred_or_that_share_no_request_are_accepted(string? path, string hosts, string? otherPath, string otherHosts)
    {
        _registry.Do(Put("first", null, Route(path, Split(hosts))));
        _registry.Do(Put("second", null, Route(otherPath, Split(otherHosts))));
    }

    [Fact]
    public void A_route_that_starts_with_another_services_name_or_takes_its_host_is_refused()
    {
        _registry.Do(Register("tts"));
        foreach (var route in new[]
        {
            Route("/tts/{**rest}"), Route("/tts"), Route("/x", "tts.alicia.local"), Route(null, "TTS.alicia.local"), Route(null, "*.alicia.local"), Route("/x", "*.local"),
        })
        {
            _registry.Refused(Put("stt", null, route), RejectionKind.Conflict).Detail.Should().Contain("'tts'").And.Contain("'stt'");
        }

        _registry.Do(Put("stt", null, Route("/stt/v2/{**rest}"), Route("/x", "stt.alicia.local"), Route("/ttsx"), Route("/a/tts")));
    }

    [Fact]
    public void A_new_service_whose_name_another_services_route_has_taken_is_refused_however_it_comes()
    {
        _registry.Do(Put("gateway", null, Route("/tts/{**rest}"), Route("/x", "stt.alicia.local"), Route(null, "*.example.org")));

        foreach (var name in new[] { "tts", "stt" })
        {
            _registry.Refused(Register(name), RejectionKind.Conflict).Detail.Should().Contain($"'{name}'").And.Contain("'gateway'");
            _registry.Refused(Put(name), RejectionKind.Conflict);
            _registry.Refused(Configure(Static(name, Request())), RejectionKind.Invalid);
        }

        _registry.Do(Register("nlp"));
    }

    [Fact]
    public void The_routes_of_a_deleted_service_are_free_at_once()
    {
        _registry.Do(Put("first", null, Route("/v1/{**rest}")));
        _registry.Do(Register("first"));
        _registry.Do(new RemoveService("first", Precondition.None));
        _registry.Do(Put("second", null, Route("/v1/{**rest}")));
        _registry.Refused(Put("first", null, Route("/v1/{**rest}")), RejectionKind.Conflict);
    }

    private static IEnumerable<string> Faults(params RouteRequest[] routes)
    {
        var faults = new FaultList();
        RouteRules.Validate(routes, "routes", faults);
        return faults.All.Select(f => f.Field).Distinct();
    }

    private static string[] Split(string hosts) => hosts.Split(',', StringSplitOptions.RemoveEmptyEntries);
}
