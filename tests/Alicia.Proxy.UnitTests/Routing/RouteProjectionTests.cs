using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;
using Alicia.Proxy.Routing;
using Alicia.Proxy.UnitTests.Registry;
using Yarp.ReverseProxy.Configuration;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Routing;

public sealed class RouteProjectionTests
{
    private readonly Drafts _registry = new();

    [Fact]
    public void The_same_snapshot_gives_the_same_configuration()
    {
        _registry.Do(Put("tts", null, new RouteRequest(["tts.example.org"], "/v1/{**rest}", "/v1"), Route("/v2")));
        _registry.Do(Register("tts", "a"));

        RouteProjection.Routes(_registry.Snapshot).Should().Equal(RouteProjection.Routes(_registry.Snapshot));
        Cluster().Should().Be(Cluster());
    }

    [Fact]
    public void Destinations_are_the_epochs_of_what_is_in_rotation_with_its_address()
    {
        var a = _registry.Do(Register("tts", "a")).Instance.Epoch;
        var b = _registry.Do(Register("tts", Request("b", "fd00::1", 443) with { Scheme = "https" })).Instance.Epoch;
        Admit(a);
        Admit(b);
        _registry.Do(Register("tts", "pending"));
        Admit(_registry.Do(Register("tts", "draining")).Instance.Epoch);
        _registry.Do(Register("tts", "leaving"));
        _registry.Do(Patch("tts", "draining", state: Given("draining")));
        _registry.Do(new RemoveInstance("tts", "leaving"));

        Cluster().Destinations!.ToDictionary(d => d.Key, d => d.Value.Address).Should().Equal(new Dictionary<string, string>
        {
            [$"{a}"] = "http://10.0.0.5:8003/",
            [$"{b}"] = "https://[fd00::1]:443/",
        });
    }

    [Fact]
    public void Nothing_that_changes_often_is_in_a_cluster()
    {
        Admit(_registry.Do(Register("tts")).Instance.Epoch);
        var before = Cluster();

        _registry.Do(Patch("tts", "a", weight: Given<int?>(50), cap: Given<int?>(3)));
        _registry.Do(Register("tts", Request() with { TtlSeconds = 60, Protocol = "h2c", Weight = 9, Metadata = new Dictionary<string, string> { ["a"] = "b" } }));
        _registry.Do(PatchSettings("tts", Settings(SettingKeys.Algorithm, "random").With(SettingKeys.MaxConnections, 7).With(SettingKeys.HealthCheckPath, "/up")));

        Cluster().Should().Be(before);
        var b = _registry.Do(Register("tts", "b")).Instance.Epoch;
        Cluster().Should().Be(before, "it has not passed a probe");
        Admit(b);
        Cluster().Should().NotBe(before);
    }

    private void Admit(long epoch) => _registry.Do(new AdmitInstance("tts", epoch));

    [Fact]
    public void Declared_routes_come_before_the_catch_all_and_carry_what_matches()
    {
        _registry.Do(Put("tts", null, new RouteRequest(["tts.example.org"], "/v1/{**rest}", "/v1"), Route(null, "*.example.org")));

        var routes = RouteProjection.Routes(_registry.Snapshot);

        routes.Should().HaveCount(3);
        routes.Select(r => r.RouteId).Should().OnlyHaveUniqueItems();
        var catchAll = routes.Single(r => r.RouteId == RouteProjection.CatchAll);
        routes.Where(r => r != catchAll).Should().OnlyContain(r => r.Order < catchAll.Order && r.ClusterId == "tts");
        var first = routes.Single(r => r.Match.Path == "/v1/{**rest}");
        first.Match.Hosts.Should().Equal("tts.example.org");
        first.Metadata.Should().Equal(new Dictionary<string, string> { [DeclaredRouteMatch.StripPrefixKey] = "/v1" });
        Names.IsService(RouteProjection.CatchAll).Should().BeFalse();
    }

    [Fact]
    public void A_leaving_service_has_no_routes_and_no_destinations()
    {
        _registry.Do(Put("tts", null, Route("/v1")));
        _registry.Do(Register("tts"));
        _registry.Do(new RemoveService("tts", Precondition.None));
        RouteProjection.Routes(_registry.Snapshot).Should().Equal(RouteProjection.CatchAllRoute);
        Cluster().Destinations.Should().BeEmpty();
    }

    private ClusterConfig Cluster() => RouteProjection.Cluster(_registry.Service("tts"));
}
