using Alicia.Proxy.Balancing;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Routing;

namespace Alicia.Proxy.UnitTests.Routing;

public sealed class RoutingTableTests
{
    private static readonly RegistryRules Rules = new() { DefaultService = "web" };

    private readonly RoutingTable _table = new(Rules, [.. new[] { "tts", "stt", "web", "my_service" }.Select(n => new Upstream(n, new ServiceLive(n)))]);

    [Theory]
    [InlineData("tts.alicia.local", "/stt/x", "tts", 0)]
    [InlineData("other.org", "/stt/x", "stt", 4)]
    [InlineData("other.org", "/stt", "stt", 4)]
    [InlineData("other.org", "/stt?x", "stt", 4)]
    [InlineData("other.org", "/unknown/x", "web", 0)]
    [InlineData("other.org", "/", "web", 0)]
    [InlineData("unknown.alicia.local", "/stt/x", "stt", 4)]
    [InlineData("", "/stt/x", "stt", 4)]
    [InlineData(null, "/my_service/x", "my_service", 11)]
    public void The_host_comes_before_the_prefix_and_the_prefix_before_the_default(string? host, string target, string service, int prefix)
    {
        _table.Find(host, target, out var length)!.Name.Should().Be(service);
        length.Should().Be(prefix);
    }

    [Theory]
    [InlineData("TTS.Alicia.LOCAL")]
    [InlineData("tts.alicia.local:8080")]
    [InlineData("tts.alicia.local.")]
    [InlineData("Tts.alicia.local.:8080")]
    public void A_host_matches_without_case_with_a_port_and_with_a_final_dot(string host) => _table.Find(host, "/", out _)!.Name.Should().Be("tts");

    [Theory]
    [InlineData("x.tts.alicia.local")]
    [InlineData("ttsalicia.local")]
    [InlineData(".alicia.local")]
    [InlineData("alicia.local")]
    [InlineData("tts.alicia.local.evil.org")]
    [InlineData("[::1]:8080")]
    [InlineData(":")]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.alicia.local")]
    public void Other_hosts_name_no_service(string host) => _table.Find(host, "/", out _)!.Name.Should().Be("web");

    [Theory]
    [InlineData("/%74ts/x")]
    [InlineData("/TTS/x")]
    [InlineData("/tts%2Fx")]
    [InlineData("//tts/x")]
    [InlineData("/tts;v=1/x")]
    [InlineData("/ttsx")]
    public void A_segment_matches_only_as_it_is_written(string target)
    {
        _table.Find("other.org", target, out var length)!.Name.Should().Be("web");
        length.Should().Be(0);
    }

    [Fact]
    public void Prefixes_and_the_default_can_be_off()
    {
        var table = new RoutingTable(new RegistryRules { PathPrefix = false, DefaultService = "gone" }, _table.Upstreams);
        table.Find("other.org", "/tts/x", out _).Should().BeNull();
        table.Find("tts.alicia.local", "/", out _).Should().NotBeNull();
        RoutingTable.Empty.Find("tts.alicia.local", "/tts", out _).Should().BeNull();
    }

    [Fact]
    public void A_look_up_allocates_nothing()
    {
        Run();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
            Run();
        (GC.GetAllocatedBytesForCurrentThread() - before).Should().Be(0);

        void Run()
        {
            _table.Find("TTS.alicia.local:8080", "/", out _);
            _table.Find("other.org", "/stt/a/b?c", out _);
            _table.Find("other.org", "/nothing", out _);
        }
    }
}
