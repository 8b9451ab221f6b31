using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Registry;

public sealed class InstanceRuleTests
{
    [Theory]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(65535, true)]
    [InlineData(65536, false)]
    [InlineData(-1, false)]
    public void Ports(int port, bool valid) => Check(Request(port: port), valid, "port");

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(1000, true)]
    [InlineData(1001, false)]
    public void Weights(int weight, bool valid) => Check(Request() with { Weight = weight }, valid, "weight");

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(100_000, true)]
    [InlineData(100_001, false)]
    public void Caps(int cap, bool valid) => Check(Request() with { MaxConnections = cap }, valid, "max_connections");

    [Theory]
    [InlineData(4, false)]
    [InlineData(5, true)]
    [InlineData(86_400, true)]
    [InlineData(86_401, false)]
    public void Leases(int ttl, bool valid) => Check(Request() with { TtlSeconds = ttl }, valid, "ttl_seconds");

    [Theory]
    [InlineData(null, null, "http", UpstreamProtocol.Http1)]
    [InlineData(null, "http1", "http", UpstreamProtocol.Http1)]
    [InlineData("https", "http1", "https", UpstreamProtocol.Http1)]
    [InlineData(null, "http2", "https", UpstreamProtocol.Http2)]
    [InlineData("https", "http2", "https", UpstreamProtocol.Http2)]
    [InlineData(null, "h2c", "http", UpstreamProtocol.H2c)]
    public void The_protocol_says_the_scheme_where_it_is_left_out(string? scheme, string? protocol, string expectedScheme, object expectedProtocol)
    {
        var valid = InstanceRules.Validate(Request() with { Scheme = scheme, Protocol = protocol }, RegistryRules.Default, new FaultList());
        (valid!.Scheme, (object)valid.Protocol).Should().Be((expectedScheme, expectedProtocol));
    }

    [Theory]
    [InlineData("http", "http2", "protocol")]
    [InlineData("https", "h2c", "protocol")]
    [InlineData(null, "HTTP1", "protocol")]
    [InlineData("HTTP", null, "scheme")]
    public void Schemes_and_protocols_that_contradict_each_other_are_refused(string? scheme, string? protocol, string field) =>
        Check(Request() with { Scheme = scheme, Protocol = protocol }, false, field);

    [Fact]
    public void Metadata_is_bounded_in_pairs_and_in_bytes_of_UTF_8()
    {
        Check(With(Enumerable.Range(0, 32).ToDictionary(i => $"k{i}", _ => "v")), true, "metadata");
        Check(With(Enumerable.Range(0, 33).ToDictionary(i => $"k{i}", _ => "v")), false, "metadata");
        Check(With(new() { ["k"] = new string('v', 4095) }), true, "metadata");
        Check(With(new() { ["k"] = new string('v', 4096) }), false, "metadata");
        Check(With(new() { ["k"] = new string('ü', 2047) }), true, "metadata");
        Check(With(new() { ["k"] = new string('ü', 2048) }), false, "metadata");

        static RegistrationRequest With(Dictionary<string, string> metadata) => Request() with { Metadata = metadata };
    }

    [Fact]
    public void Probe_settings_of_a_registration_are_held_against_each_other() => Check(
        Request() with { HealthCheck = Settings(SettingKeys.HealthCheckInterval, TimeSpan.FromSeconds(3)).With(SettingKeys.HealthCheckFast, TimeSpan.FromSeconds(4)) },
        false, "health_check.fast");

    private static void Check(RegistrationRequest request, bool valid, string field)
    {
        var faults = new FaultList();
        var result = InstanceRules.Validate(request, RegistryRules.Default, faults);
        (result is not null).Should().Be(valid);
        faults.All.Select(f => f.Field).Distinct().Should().Equal(valid ? [] : [field]);
    }
}
