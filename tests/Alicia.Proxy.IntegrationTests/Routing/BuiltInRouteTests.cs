using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Routing;

/// <summary>Every service is reached by its host and by its path prefix, and only by what the sender wrote.</summary>
public sealed class BuiltInRouteTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private ProxyProcess Proxy => running.Proxy;

    [Theory]
    [InlineData("{0}.alicia.local")]
    [InlineData("{0}.alicia.local:8080")]
    [InlineData("{0}.alicia.local.")]
    [InlineData("{0}.alicia.local.:8080")]
    [InlineData("{1}.Alicia.LOCAL")]
    public async Task A_service_answers_to_its_host_and_sees_the_target_as_written(string host)
    {
        var service = await running.ServiceAsync(1);

        var routed = await Proxy.GetRawAsync("/x%2Fy//z?q=%20", string.Format(null, host, service, service.ToUpperInvariant()));

        routed.Where.Should().Be(("a", "/x%2Fy//z?q=%20"));
        routed.Prefix.Should().BeEmpty();
    }

    [Theory]
    [InlineData("{0}.alicia.local.example")]
    [InlineData("x.{0}.alicia.local")]
    [InlineData("{0}alicia.local")]
    [InlineData("{0}.alicia.local..")]
    [InlineData("{0}")]
    [InlineData("alicia.local")]
    [InlineData(".alicia.local")]
    public async Task A_host_that_only_resembles_a_service_names_none(string host)
    {
        var service = await running.ServiceAsync(1);

        var routed = await Proxy.GetRawAsync("/", string.Format(null, host, service));

        // Kestrel refuses some of these as no host at all.
        routed.Backend.Should().BeNull();
        routed.Status.Should().BeOneOf(400, 404);
    }

    [Theory]
    [InlineData("/{0}", "/")]
    [InlineData("/{0}/", "/")]
    [InlineData("/{0}?q=1", "/?q=1")]
    [InlineData("/{0}/?q=1", "/?q=1")]
    [InlineData("/{0}/a/b?q=/..", "/a/b?q=/..")]
    [InlineData("/{0}//a/", "//a/")]
    [InlineData("/{0}/a%2Fb%20c", "/a%2Fb%20c")]
    [InlineData("/{0}/{0}/a", "/{0}/a")]
    [InlineData("http://localhost/{0}/a", "/a")]
    public async Task The_service_segment_is_stripped_and_announced(string target, string seen)
    {
        var service = await running.ServiceAsync(1);

        var routed = await Proxy.GetRawAsync(string.Format(null, target, service));

        routed.Where.Should().Be(("a", string.Format(null, seen, service)));
        routed.Prefix.Should().Equal("/" + service);
    }

    [Theory]
    [InlineData("/%73{0}/x")]
    [InlineData("/{1}/x")]
    [InlineData("//s{0}/x")]
    [InlineData("/s{0}x/x")]
    [InlineData("/s{0}%2Fx")]
    [InlineData("/s{0};v=1/x")]
    [InlineData("/")]
    public async Task A_segment_that_is_not_the_service_as_written_is_unknown(string target)
    {
        var service = await running.ServiceAsync(1);

        var routed = await Proxy.GetRawAsync(string.Format(null, target, service[1..], service.ToUpperInvariant()));

        routed.ShouldBeRefused(404, "destination_not_found");
        routed.Answer.Values("Retry-After").Should().BeEmpty();
    }

    [Theory]
    [InlineData("/{0}/../x")]
    [InlineData("/{0}/.")]
    [InlineData("/{0}/./x")]
    [InlineData("/{0}/..")]
    [InlineData("/../{0}/x")]
    [InlineData("/{0}/%2e%2E/x")]
    [InlineData("/{0}/.%2e/x")]
    [InlineData("/{0}/%2E?q")]
    [InlineData("/{0}/a%2f..%2fb")]
    [InlineData("/{0}/..%5cx")]
    [InlineData("/{0}/..;/x")]
    public async Task A_target_with_dot_segments_is_refused(string target)
    {
        var service = await running.ServiceAsync(1);

        var routed = await Proxy.GetRawAsync(string.Format(null, target, service));

        routed.ShouldBeRefused(400, "http_request_error");
        (await running.SeenAsync()).Should().Be(0);
    }

    [Theory]
    [InlineData("/...")]
    [InlineData("/.a/b.")]
    [InlineData("/a..b")]
    [InlineData("/x?a=/../b")]
    [InlineData("/%252e%252e/x")]
    public async Task Dots_that_are_no_segments_go_through(string target)
    {
        var service = await running.ServiceAsync(1);

        var routed = await Proxy.GetRawAsync($"/{service}{target}");

        routed.Where.Should().Be(("a", target));
    }

    [Fact]
    public async Task The_host_comes_before_the_path_prefix()
    {
        var byHost = await running.ServiceAsync(1);
        var byPrefix = await running.ServiceAsync(0);
        await running.Registry.RegisterActiveAsync(byPrefix, running.Backends[1]);

        var routed = await Proxy.GetRawAsync($"/{byPrefix}/x", $"{byHost}.alicia.local");

        routed.Where.Should().Be(("a", $"/{byPrefix}/x"));
    }

    [Fact]
    public async Task A_service_without_instances_is_unavailable_and_not_unknown()
    {
        var service = await running.ServiceAsync(0);

        var routed = await Proxy.GetRawAsync($"/{service}/x");

        routed.ShouldBeRefused(503, "destination_unavailable");
        routed.Answer.Values("Retry-After").Should().Equal("1");
    }
}
