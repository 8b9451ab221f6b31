using System.Net;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Microsoft.Extensions.Logging;
using static Alicia.Proxy.UnitTests.Configuration.ReaderSteps;

namespace Alicia.Proxy.UnitTests.Configuration;

public class ConfigurationReaderTests
{
    [Fact]
    public void Nothing_at_all_gives_the_documented_defaults()
    {
        var value = Valid();

        value.Listen.Proxy.Select(a => a.ToString()).Should().Equal("http://127.0.0.1:8080");
        value.Listen.Management.Select(a => a.ToString()).Should().Equal("http://127.0.0.1:8023");
        value.Routing.Should().Be(new RoutingConfiguration("alicia.local", true, null));
        value.Registry.Store.Should().Be(RegistryStore.Sqlite);
        value.Registry.Path.Should().Be("data/registry.db");
        value.Registry.RemoveAfter.Should().Be(TimeSpan.FromDays(1));
        value.Registry.AllowedNetworks.Select(n => n.ToString()).Should()
            .Equal("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7");
        value.ApiKeys.Should().BeEmpty();
        value.Mqtt.Host.Should().BeNull();
        value.Mqtt.Port.Should().Be(1883);
        value.Mqtt.Root.Should().Be("alicia");
        value.Mqtt.Tls.Should().BeNull();
        value.Services.Should().BeEmpty();
        value.Shutdown.Should().Be(new ShutdownConfiguration(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(8)));
        value.ForwardedTrusted.Should().BeEmpty();
        value.Metrics.Should().Be(new MetricsConfiguration(true, null));
        value.MetricsArePublic.Should().BeTrue();
        value.Logging.Format.Should().Be(LogFormat.Text);
        value.Logging.AccessLog.Should().Be(0);
        value.Logging.AccessLogFormat.Should().Be(AccessLogFormat.Json);
        value.OtlpEndpoint.Should().BeNull();
        value.ForwardingHttp1.Should().Be(Http1Forwarding.Direct);
    }

    [Fact]
    public void Every_key_of_the_contract_is_accepted()
    {
        var value = ValidJson("""
            {
              "$schema": "alicia.schema.json",
              "Listen": { "Proxy": "http://127.0.0.1:8080;h2c://127.0.0.1:8081; https://[::1]:8443", "Management": ["http://*:8023"] },
              "Routing": { "Domain": "Example.ORG", "PathPrefix": false, "DefaultService": "tts" },
              "Registry": { "Store": "memory", "Path": "x.db", "RemoveAfter": "2.00:00:00", "AllowedNetworks": ["10.0.0.0/8", "fd00::/8"] },
              "Management": { "ApiKeys": { "ops": { "Key": "0123456789abcdef", "Scopes": ["read", "admin"], "Services": ["tts"] } } },
              "Mqtt": {
                "Host": "broker", "Port": 8883, "Username": "u", "Password": "p", "ClientId": "c", "Root": "home/alicia",
                "Tls": { "CaFile": "ca.pem", "CertificateFile": "c.pem", "KeyFile": "k.pem", "KeyPassword": "x" },
                "Addresses": { "tts_service": "http://alicia_tts_service:8003" }, "AddressTemplate": "http://alicia_{service_name}:8000"
              },
              "Services": {},
              "Shutdown": { "Grace": "00:00:00", "Timeout": "00:00:20" },
              "Forwarded": { "Trusted": ["10.0.0.1", "192.168.0.0/24", "fd00::1"] },
              "Limits": { "TargetBytes": 8192, "FieldBytes": "32768", "BodyBytes": "none", "Connections": 1000, "HeadTimeout": "00:00:05" }, "RateLimit": { "Partitions": 7 }, "Tls": { "Certificates": { "site": { "CertificateFile": "x" } } },
              "Metrics": { "PerInstance": false, "Public": true },
              "Logging": { "Format": "json", "AccessLog": 0.25, "AccessLogFormat": "Combined", "LogLevel": { "Default": "warning", "Microsoft.AspNetCore": "Error" } },
              "Otlp": { "Endpoint": "http://collector:4317" },
              "Forwarding": { "Http1": "yarp" },
              "Defaults": { "Algorithm": "random", "Ttl": "none", "HealthCheck": { "Enabled": false }, "Retry": { "Statuses": [502, 503] } }
            }
            """);

        value.Listen.Proxy.Select(a => (a.Scheme, a.Port)).Should().Equal((ListenScheme.Http, 8080), (ListenScheme.H2c, 8081), (ListenScheme.Https, 8443));
        value.Routing.Should().Be(new RoutingConfiguration("example.org", false, "tts"));
        value.ApiKeys.Single().Scopes.Should().Be(ApiScopes.Read | ApiScopes.Admin);
        value.ApiKeys.Single().Services.Should().Equal("tts");
        value.Mqtt.Tls.Should().NotBeNull();
        value.Mqtt.AddressOf("tts_service").Should().Be(new InstanceAddress("http", "alicia_tts_service", 8003));
        value.Mqtt.AddressOf("other").Should().Be(new InstanceAddress("http", "alicia_other", 8000));
        value.ForwardedTrusted.Select(n => n.ToString()).Should().Equal("10.0.0.1/32", "192.168.0.0/24", "fd00::1/128");
        value.MetricsArePublic.Should().BeTrue();
        value.Logging.Levels["default"].Should().Be(LogLevel.Warning);
        value.Logging.Levels["Microsoft.AspNetCore"].Should().Be(LogLevel.Error);
        value.Logging.AccessLog.Should().Be(0.25);
        value.Logging.AccessLogFormat.Should().Be(AccessLogFormat.Combined);
        value.Defaults.TryGet(SettingKeys.RetryStatuses, out var statuses).Should().BeTrue();
        statuses.Should().BeEquivalentTo(new[] { 502, 503 });
        value.Defaults.Keys.Should().HaveCount(4);
    }

    [Fact]
    public void Every_fault_is_reported_at_once_with_its_key()
    {
        var (value, faults) = Read(
            ("Routing:PathPrefix", "maybe"),
            ("Registry:Store", "postgres"),
            ("Nonsense:X", "1"),
            ("Services:Bad Name:Algorithm", "random"),
            ("Services:tts:Algorithm", "fastest"),
            ("Shutdown:Grace", "5"),
            ("Management:ApiKeys:a:Scopes", "read"));

        value.Should().BeNull();
        faults.Select(f => f.Key).Should().BeEquivalentTo(
            "Routing:PathPrefix", "Registry:Store", "Nonsense", "Services:Bad Name", "Services:tts:Algorithm", "Shutdown:Grace", "Management:ApiKeys:a");
    }

    [Theory]
    [InlineData("Registry:Pth", "did you mean Path?")]
    [InlineData("Registri:Path", "did you mean Registry?")]
    [InlineData("Services:tts:HealthCheck:Intervall", "did you mean Interval?")]
    [InlineData("Services:tts:Instances:0:Hots", "did you mean Host?")]
    [InlineData("Mqtt:Tls:Something", "is not a known key")]
    [InlineData("Services:tts:Instances:x:Host", "a position in a list")]
    [InlineData("Mqtt:Addresses:TTS", "a service name")]
    [InlineData("Services:tts\n:Algorithm", "a service name")]
    [InlineData("Services::Algorithm", "a service name")]
    public void An_unknown_key_is_a_fault_that_names_the_nearest_one(string key, string expected)
    {
        var fault = FaultOf((key, "a"));

        key.Should().StartWith(fault.Key);
        fault.Message.Should().Contain(expected);
    }

    [Fact]
    public void A_far_off_key_gets_no_suggestion() =>
        FaultOf(("Registry:Completely", "a")).Message.Should().NotContain("did you mean");

    [Theory]
    [InlineData("Registry", "is a section")]
    [InlineData("Services:tts:Instances", "is a list of sections")]
    [InlineData("Registry:Path:Deeper", "takes a single value")]
    [InlineData("Forwarded:Trusted:x", "takes a list of values")]
    public void A_value_and_a_section_are_not_mistaken_for_each_other(string key, string expected) =>
        FaultOf((key, "1.2.3.4")).Message.Should().Contain(expected);

    [Theory]
    [InlineData("30", "must be a duration", "00:00:30")]
    [InlineData("1.5", "must be a duration", "00:00:01.5")]
    [InlineData("02:00:00", "from 00:00:00 to 01:00:00", "'02:00:00'")]
    public void A_duration_that_breaks_its_rule_is_told_how_to_write_it(string text, string rule, string given)
    {
        var fault = FaultOf(("Shutdown:Grace", text));

        fault.Key.Should().Be("Shutdown:Grace");
        fault.Message.Should().Contain(rule).And.Contain(given);
    }

    [Theory]
    [InlineData("Mqtt:Port", "0")]
    [InlineData("Mqtt:Port", "65536")]
    [InlineData("Mqtt:Root", "alicia/#")]
    [InlineData("Mqtt:Root", "/alicia")]
    [InlineData("Mqtt:Addresses:tts", "alicia_tts:80")]
    [InlineData("Mqtt:Addresses:tts", "http://alicia_tts:8003/path")]
    [InlineData("Mqtt:Addresses:tts", "http://alicia_{service_name}:8003")]
    [InlineData("Mqtt:AddressTemplate", "http://alicia:8003")]
    [InlineData("Mqtt:AddressTemplate", "http://alicia_{service}:8003")]
    [InlineData("Routing:Domain", "alicia local")]
    [InlineData("Routing:DefaultService", "TTS")]
    [InlineData("Logging:Format", "xml")]
    [InlineData("Logging:AccessLog", "perhaps")]
    [InlineData("Logging:AccessLog", "1.5")]
    [InlineData("Logging:AccessLog", "-0.1")]
    [InlineData("Logging:AccessLog", "NaN")]
    [InlineData("Logging:AccessLogFormat", "common")]
    [InlineData("Logging:LogLevel:Default", "Loud")]
    [InlineData("Otlp:Endpoint", "collector:4317")]
    [InlineData("Forwarding:Http1", "magic")]
    [InlineData("Metrics:PerInstance", "2")]
    [InlineData("Registry:RemoveAfter", "00:00:00")]
    [InlineData("Registry:Path", "")]
    [InlineData("Forwarded:Trusted", "10.0.0.5/8")]
    [InlineData("Forwarded:Trusted", "example.org")]
    [InlineData("Services:tts:Instances:0:Port", "http")]
    [InlineData("Services:tts:Instances:0:Protocol", "spdy")]
    public void A_value_that_breaks_its_rule_is_a_fault(string key, string text)
    {
        var fault = FaultOf((key, text));

        fault.Key.Should().Be(key);
        fault.Message.Should().StartWith("must be ").And.Contain($"'{text}'");
    }

    [Theory]
    [InlineData("169.254.0.0/16")]
    [InlineData("169.254.169.254/32")]
    [InlineData("fe80::/10")]
    [InlineData("fe80::/64")]
    [InlineData("::ffff:169.254.0.0/112")]
    [InlineData("10.0.0.1")]
    [InlineData("")]
    public void Instances_may_not_live_in_such_a_network(string network) =>
        FaultOf(("Registry:AllowedNetworks", network)).Key.Should().Be("Registry:AllowedNetworks");

    [Fact]
    public void A_network_that_is_wider_than_link_local_is_taken() =>
        Valid(("Registry:AllowedNetworks", "0.0.0.0/0;::/0")).Registry.AllowedNetworks.Should().Equal(IPNetwork.Parse("0.0.0.0/0"), IPNetwork.Parse("::/0"));

    [Fact]
    public void Lists_are_arrays_or_text_with_commas_or_semicolons()
    {
        int[] expected = [500, 502];
        foreach (var value in new[]
        {
            Valid(("Defaults:CircuitBreaker:FailureStatuses", "500, 502")),
            Valid(("Defaults:CircuitBreaker:FailureStatuses", "500;502")),
            ValidJson("""{ "Defaults": { "CircuitBreaker": { "FailureStatuses": [500, 502] } } }"""),
        })
        {
            value.Defaults.TryGet(SettingKeys.CircuitFailureStatuses, out var statuses).Should().BeTrue();
            statuses.Should().BeEquivalentTo(expected);
        }
    }

    [Fact]
    public void Keys_are_read_in_any_case()
    {
        var value = Valid(("ROUTING:pathprefix", "false"), ("SERVICES:tts:MAXCONNECTIONS", "7"));

        value.Routing.PathPrefix.Should().BeFalse();
        value.Services.Single().Settings.TryGet(SettingKeys.MaxConnections, out var cap).Should().BeTrue();
        cap.Should().Be(7);
    }

    [Fact]
    public void A_probe_timeout_above_its_interval_is_a_fault_where_it_is_set()
    {
        FaultOf(("Defaults:HealthCheck:Timeout", "00:01:00")).Key.Should().Be("Defaults:HealthCheck:Timeout");
        FaultOf(("Defaults:HealthCheck:Interval", "00:00:10"), ("Services:tts:HealthCheck:Fast", "00:00:11")).Key.Should().Be("Services:tts:HealthCheck:Fast");
        FaultOf(("Services:tts:HealthCheck:Interval", "00:00:10"), ("Services:tts:Instances:0:HealthCheck:Timeout", "00:00:11")).Key
            .Should().Be("Services:tts:Instances:0:HealthCheck:Timeout");
        Valid(("Services:tts:HealthCheck:Interval", "00:00:01")).Services.Should().ContainSingle();
    }

    [Fact]
    public void Static_services_are_handed_over_as_written_with_their_keys()
    {
        var value = ValidJson("""
            { "Services": {
              "tts": {
                "Algorithm": "least_connections",
                "Routes": [{ "Hosts": ["TTS.example.org"], "Path": "/v1/tts/{**rest}", "StripPrefix": "/v1/tts" }],
                "Instances": [
                  { "Host": "10.0.0.5", "Port": 8003, "Weight": 3, "MaxConnections": 9, "InstanceId": "tts-1", "Scheme": "https", "Protocol": "http2",
                    "HealthCheck": { "Path": "/alive" }, "Metadata": { "zone": "kitchen", "rack": 3 } },
                  { "Host": "not a host, but the registry says so" } ] },
              "empty": {},
              "bare": { "Routes": [], "Instances": [] } } }
            """);

        var services = value.Services.ToDictionary(s => s.Name);
        services.Keys.Should().BeEquivalentTo("tts", "empty", "bare");
        services["empty"].Routes.Should().BeNull();
        services["bare"].Routes.Should().NotBeNull();
        services["bare"].Routes!.Value.Should().BeEmpty();
        var tts = services["tts"];
        var route = tts.Routes!.Value.Single();
        route.ConfigKey.Should().Be("Services:tts:Routes:0");
        route.Route.Should().Be(new DeclaredRoute(["tts.example.org"], "/v1/tts/{**rest}", "/v1/tts"));
        tts.Instances.Select(i => i.ConfigKey).Should().Equal("Services:tts:Instances:0", "Services:tts:Instances:1");
        var first = tts.Instances[0];
        (first.InstanceId, first.Host, first.Port, first.Scheme, first.Protocol, first.Weight, first.MaxConnections)
            .Should().Be(("tts-1", "10.0.0.5", 8003, "https", UpstreamProtocol.Http2, 3, 9));
        first.HealthCheck.Keys.Should().Equal(SettingKeys.HealthCheckPath);
        first.Metadata.Should().BeEquivalentTo(new Dictionary<string, string> { ["zone"] = "kitchen", ["rack"] = "3" });
        tts.Instances[1].Port.Should().BeNull();
        tts.Instances[1].Weight.Should().BeNull();
    }

    [Fact]
    public void Tls_towards_the_broker_follows_from_its_keys_unless_switched_off()
    {
        Valid(("Mqtt:Tls:Enabled", "true")).Mqtt.Tls.Should().Be(new MqttTlsConfiguration(null, null, null, null));
        Valid(("Mqtt:Tls:CaFile", "ca.pem")).Mqtt.Tls!.CaFile.Should().Be("ca.pem");
        Valid(("Mqtt:Tls:CaFile", "ca.pem"), ("Mqtt:Tls:Enabled", "false")).Mqtt.Tls.Should().BeNull();
        FaultOf(("Mqtt:Tls:KeyFile", "k.pem")).Message.Should().Contain("Mqtt:Tls:CertificateFile");
        FaultOf(("Mqtt:Password", "secret")).Message.Should().Contain("Mqtt:Username");
    }
}
