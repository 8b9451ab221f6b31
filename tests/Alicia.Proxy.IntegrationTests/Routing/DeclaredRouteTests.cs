using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Routing;

/// <summary>Routes that a service declares come before the built-in ones, match only what was written, and never collide.</summary>
public sealed class DeclaredRouteTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private ProxyProcess Proxy => running.Proxy;

    [Fact]
    public async Task A_host_is_matched_whatever_its_case_and_port()
    {
        var service = await RoutedServiceAsync(0, new { hosts = new[] { "tts.example.org", "speech.example.org" } });

        (await Proxy.GetRawAsync("/a?q", "tts.example.org")).Where.Should().Be(("a", "/a?q"));
        (await Proxy.GetRawAsync("/a", "TTS.Example.org:8080")).Where.Should().Be(("a", "/a"));
        (await Proxy.GetRawAsync("/", "speech.example.org")).Where.Should().Be(("a", "/"));
        (await Proxy.GetRawAsync($"/{service}/a", "tts.example.org")).Where.Should().Be(("a", $"/{service}/a"), "a declared route comes first");
        (await Proxy.GetRawAsync("/a", "x.tts.example.org")).ShouldBeRefused(404, "destination_not_found");
        (await Proxy.GetRawAsync("/a", "example.org")).ShouldBeRefused(404, "destination_not_found");
    }

    [Fact]
    public async Task A_wildcard_host_takes_what_is_below_it_but_for_exact_hosts_of_others()
    {
        await RoutedServiceAsync(0, new { hosts = new[] { "*.wild.example" } });
        await RoutedServiceAsync(1, new { hosts = new[] { "one.wild.example" } });

        (await Proxy.GetRawAsync("/a", "two.wild.example")).Backend.Should().Be("a");
        (await Proxy.GetRawAsync("/a", "x.two.wild.example")).Backend.Should().Be("a");
        (await Proxy.GetRawAsync("/a", "one.wild.example")).Backend.Should().Be("b");
        (await Proxy.GetRawAsync("/a", "wild.example")).ShouldBeRefused(404, "destination_not_found");
    }

    [Fact]
    public async Task A_path_is_matched_as_written_only()
    {
        await RoutedServiceAsync(0, new { path = "/Speech/tts/{**rest}" });

        (await Proxy.GetRawAsync("/Speech/tts")).Where.Should().Be(("a", "/Speech/tts"));
        (await Proxy.GetRawAsync("/Speech/tts/x//y%2F?q=1")).Where.Should().Be(("a", "/Speech/tts/x//y%2F?q=1"));
        foreach (var target in new[] { "/speech/tts/x", "/Speech/TTS/x", "/%53peech/tts/x", "/Speech/tt%73/x", "/Speech//tts/x", "/Speech%2Ftts/x", "/Speech/ttsx" })
            (await Proxy.GetRawAsync(target)).ShouldBeRefused(404, "destination_not_found");
    }

    [Fact]
    public async Task Two_services_may_differ_by_case_alone()
    {
        await RoutedServiceAsync(0, new { path = "/cased/{**rest}" });
        await RoutedServiceAsync(1, new { path = "/Cased/{**rest}" });
        await RoutedServiceAsync(2, new { path = "/cased/deep/{**rest}" });

        (await Proxy.GetRawAsync("/cased/x")).Backend.Should().Be("a");
        (await Proxy.GetRawAsync("/Cased/x")).Backend.Should().Be("b");
        (await Proxy.GetRawAsync("/cased/deep/x")).Backend.Should().Be("c");
        (await Proxy.GetRawAsync("/Cased/deep/x")).Backend.Should().Be("b");
    }

    [Fact]
    public async Task Parameters_take_one_whole_segment_and_literals_go_before_them()
    {
        await RoutedServiceAsync(0, new { path = "/users/{id}/voice" });
        await RoutedServiceAsync(1, new { path = "/users/admin/voice" });
        await RoutedServiceAsync(2, new { path = "/users/{**rest}" });

        (await Proxy.GetRawAsync("/users/7/voice?x")).Where.Should().Be(("a", "/users/7/voice?x"));
        (await Proxy.GetRawAsync("/users/a%2Fb/voice")).Where.Should().Be(("a", "/users/a%2Fb/voice"));
        (await Proxy.GetRawAsync("/users/admin/voice")).Backend.Should().Be("b");
        (await Proxy.GetRawAsync("/users/admi%6E/voice")).Backend.Should().Be("a", "an encoded literal is any value");
        (await Proxy.GetRawAsync("/users/7/8/voice")).Backend.Should().Be("c");
        (await Proxy.GetRawAsync("/users")).Backend.Should().Be("c");
    }

    [Fact]
    public async Task A_strip_prefix_is_taken_off_and_announced()
    {
        await RoutedServiceAsync(0, new { hosts = new[] { "strip.example" }, path = "/v1/tts/{**rest}", strip_prefix = "/v1/tts" });

        foreach (var (target, seen) in new[] { ("/v1/tts/a/b?q", "/a/b?q"), ("/v1/tts", "/"), ("/v1/tts/", "/"), ("/v1/tts?q", "/?q"), ("/v1/tts//a%2F", "//a%2F") })
        {
            var routed = await Proxy.GetRawAsync(target, "strip.example");
            routed.Where.Should().Be(("a", seen), target);
            routed.Prefix.Should().Equal("/v1/tts");
        }
        (await Proxy.GetRawAsync("/v1/stt", "strip.example")).ShouldBeRefused(404, "destination_not_found");
    }

    [Fact]
    public async Task A_colliding_route_is_refused_with_both_names_and_both_services_keep_working()
    {
        var first = await RoutedServiceAsync(0, new { path = "/shared/{x}/end" });
        var second = await running.ServiceAsync(0);
        await running.Registry.RegisterActiveAsync(second, running.Backends[1]);
        object[] refused = [
            new { path = "/shared/{other}/end" },
            new { path = $"/{first}/x" },
            new { hosts = new[] { $"{first}.alicia.local" } },
        ];

        foreach (var route in refused)
        {
            using var answer = await running.Registry.PatchServiceAsync(second, new { routes = new[] { route } });

            answer.StatusCode.Should().Be(HttpStatusCode.Conflict);
            (await answer.Content.ReadAsStringAsync()).Should().Contain($"'{first}'").And.Contain($"'{second}'");
        }
        (await running.Registry.ServiceAsync(second)).GetProperty("routes").GetArrayLength().Should().Be(0);
        (await Proxy.GetRawAsync("/shared/1/end")).Where.Should().Be(("a", "/shared/1/end"));
        (await Proxy.GetRawAsync($"/{first}/x")).Where.Should().Be(("a", "/x"));
        (await Proxy.GetRawAsync($"/{second}/x")).Where.Should().Be(("b", "/x"));
    }

    [Fact]
    public async Task A_service_whose_name_a_route_begins_with_is_not_created()
    {
        var first = await RoutedServiceAsync(0, new { path = "/latecomer/{**rest}" });

        using var answer = await running.Registry.RegisterAsync("latecomer", running.Backends[1]);

        answer.StatusCode.Should().Be(HttpStatusCode.Conflict);
        (await answer.Content.ReadAsStringAsync()).Should().Contain($"'{first}'").And.Contain("'latecomer'");
        (await Proxy.GetRawAsync("/latecomer/x")).Where.Should().Be(("a", "/latecomer/x"));
    }

    [Fact]
    public async Task Routes_that_are_taken_away_match_no_more()
    {
        var service = await RoutedServiceAsync(0, new { path = "/fleeting/{**rest}" });
        (await Proxy.GetRawAsync("/fleeting/x")).Backend.Should().Be("a");

        using (var answer = await running.Registry.PatchServiceAsync(service, new { routes = Array.Empty<object>() }))
            await RegistryApi.DocumentOfAsync(answer);

        (await Proxy.GetRawAsync("/fleeting/x")).ShouldBeRefused(404, "destination_not_found");
        (await Proxy.GetRawAsync($"/{service}/x")).Backend.Should().Be("a");
    }

    /// <summary>A new service with one route and the backend at that index.</summary>
    private async Task<string> RoutedServiceAsync(int backend, object route)
    {
        var service = await running.ServiceAsync(0, new { routes = new[] { route } });
        await running.Registry.RegisterActiveAsync(service, running.Backends[backend]);
        return service;
    }
}
