using Alicia.Proxy.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Matching;
using Yarp.ReverseProxy.Configuration;

namespace Alicia.Proxy.UnitTests.Routing;

public sealed class DeclaredRouteMatchTests
{
    [Theory]
    [InlineData("/v1/tts/{**rest}", "/v1/tts/a/b", true)]
    [InlineData("/v1/tts/{**rest}", "/v1/tts", true)]
    [InlineData("/v1/tts/{**rest}", "/v1/tts?x=/../", true)]
    [InlineData("/v1/tts/{**rest}", "/v1/tts/%74", true)]
    [InlineData("/v1/tts/{**rest}", "/v1/%74ts/a", false)]
    [InlineData("/v1/tts/{**rest}", "/V1/tts/a", false)]
    [InlineData("/v1/tts/{**rest}", "/v1%2Ftts/a", false)]
    [InlineData("/v1/tts/{**rest}", "/v1//tts/a", false)]
    [InlineData("/v1/{voice}/speak", "/v1/an%20na/speak", true)]
    [InlineData("/v1/{voice}/speak", "/v1/anna/Speak", false)]
    [InlineData("/v1", "/v1/", true)]
    [InlineData("/v1", "/v1?", true)]
    [InlineData(null, "/anything/%41", true)]
    public void Literals_match_byte_for_byte_and_parameters_anything(string? path, string target, bool matches) =>
        Match(path).Matches(target).Should().Be(matches);

    [Fact]
    public void The_service_and_the_prefix_to_strip_come_from_the_route()
    {
        var match = new DeclaredRouteMatch(new RouteConfig
        {
            ClusterId = "tts",
            Match = new RouteMatch { Path = "/v1/{**rest}" },
            Metadata = new Dictionary<string, string> { [DeclaredRouteMatch.StripPrefixKey] = "/v1" },
        });
        (match.Service, match.StripPrefix).Should().Be(("tts", "/v1"));
        Match("/v1").StripPrefix.Should().BeNull();
    }

    [Fact]
    public async Task The_matcher_policy_drops_the_declared_routes_that_do_not_match_and_no_other()
    {
        var context = new DefaultHttpContext();
        context.Features.Get<IHttpRequestFeature>()!.RawTarget = "/%76%31/tts";
        Endpoint[] endpoints = [Of(Match("/v1/{**rest}")), Of(Match("/{a}/tts")), Of(null)];
        var candidates = new CandidateSet(endpoints, [new RouteValueDictionary(), [], []], [0, 0, 0]);
        var policy = new RawTargetMatcherPolicy();

        policy.AppliesToEndpoints(endpoints).Should().BeTrue();
        policy.AppliesToEndpoints([endpoints[2]]).Should().BeFalse();
        await policy.ApplyAsync(context, candidates);

        Enumerable.Range(0, 3).Select(candidates.IsValidCandidate).Should().Equal(false, true, true);

        static Endpoint Of(DeclaredRouteMatch? match) => new(null, new EndpointMetadataCollection(match is null ? [] : [match]), null);
    }

    private static DeclaredRouteMatch Match(string? path) => new(new RouteConfig { ClusterId = "tts", Match = new RouteMatch { Path = path } });
}
