using System.Security.Cryptography;
using System.Text;
using Alicia.Proxy.Configuration;
using static Alicia.Proxy.UnitTests.Configuration.ReaderSteps;

namespace Alicia.Proxy.UnitTests.Configuration;

public class ListenAndKeyRulesTests
{
    private const string Key = "a-key-that-is-long-enough";

    [Theory]
    [InlineData("http://127.0.0.1:8080")]
    [InlineData("http://127.0.0.1:0")]
    [InlineData("h2c://[::1]:8081")]
    [InlineData("https://*:443")]
    [InlineData("http://0.0.0.0:80")]
    [InlineData("http://[::]:80")]
    [InlineData("http://localhost:8080")]
    public void Such_an_address_can_be_listened_on(string text) =>
        Valid(("Listen:Proxy", text), ("Tls:Certificates:site:CertificateFile", "site.pem")).Listen.Proxy.Single().ToString().Should().Be(text);

    [Theory]
    [InlineData("127.0.0.1:8080")]
    [InlineData("ftp://127.0.0.1:8080")]
    [InlineData("http://127.0.0.1")]
    [InlineData("http://127.0.0.1:8080/")]
    [InlineData("http://127.0.0.1:8080/path")]
    [InlineData("http://127.0.0.1:65536")]
    [InlineData("http://127.1:8080")]
    [InlineData("http://example.org:8080")]
    [InlineData("http://::1:8080")]
    [InlineData("http://[127.0.0.1]:8080")]
    [InlineData("http://localhost:0")]
    [InlineData("http://127.0.0.1:8080;nonsense")]
    [InlineData("")]
    public void Such_an_address_cannot(string text) => FaultOf(("Listen:Proxy", text)).Key.Should().Be("Listen:Proxy");

    [Fact]
    public void Management_does_not_speak_clear_text_http2() =>
        FaultOf(("Listen:Management", "h2c://127.0.0.1:8023")).Message.Should().Contain("http:// or https://");

    [Theory]
    [InlineData("http://127.0.0.1:9000", "http://127.0.0.1:9000")]
    [InlineData("http://*:9000", "http://127.0.0.1:9000")]
    [InlineData("http://0.0.0.0:9000", "http://localhost:9000")]
    [InlineData("http://127.0.0.1:9000", "http://localhost:9000")]
    [InlineData("http://[::]:9000", "http://127.0.0.1:9000")]
    public void Two_listeners_at_one_place_collide(string proxy, string management)
    {
        var fault = FaultOf(("Listen:Proxy", proxy), ("Listen:Management", management));

        fault.Key.Should().Be("Listen:Management");
        fault.Message.Should().Contain("collides").And.Contain("Listen:Proxy");
    }

    [Theory]
    [InlineData("http://127.0.0.1:0", "http://127.0.0.1:0")]
    [InlineData("http://127.0.0.1:9000", "http://[::1]:9000")]
    [InlineData("http://0.0.0.0:9000", "http://[::1]:9000")]
    public void Two_listeners_at_different_places_do_not(string proxy, string management) =>
        Valid(("Listen:Proxy", proxy), ("Listen:Management", management)).Listen.Management.Should().ContainSingle();

    [Fact]
    public void Management_behind_a_proxy_that_speaks_for_others_wants_a_credential_though_it_listens_on_loopback() =>
        FaultOf(("Listen:Management", "proxy+http://127.0.0.1:8023"), ("ProxyProtocol:Trusted", "127.0.0.1")).Key.Should().Be("Listen:Management");

    [Fact]
    public void Management_beyond_loopback_needs_a_key()
    {
        var fault = FaultOf(("Listen:Management", "http://0.0.0.0:8023"));

        fault.Key.Should().Be("Listen:Management");
        fault.Message.Should().Contain("Management:ApiKeys").And.Contain("127.0.0.1");
        var value = Valid(("Listen:Management", "http://0.0.0.0:8023"), ("Management:ApiKeys:a:Key", Key), ("Management:ApiKeys:a:Scopes", "read"));
        value.MetricsArePublic.Should().BeFalse();
    }

    [Fact]
    public void A_key_and_its_hash_come_to_the_same()
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(Key));
        var byText = Valid(("Management:ApiKeys:a:Key", Key), ("Management:ApiKeys:a:Scopes", "read,register"));
        var byHash = Valid(("Management:ApiKeys:a:KeySha256", Convert.ToHexString(hash)), ("Management:ApiKeys:a:Scopes", "admin"));

        byText.ApiKeys.Single().KeySha256.Should().Equal(hash);
        byHash.ApiKeys.Single().KeySha256.Should().Equal(hash);
        byText.ApiKeys.Single().Scopes.Should().Be(ApiScopes.Read | ApiScopes.Register);
        byText.ApiKeys.Single().Services.Should().BeNull();
    }

    [Fact]
    public void The_same_key_under_two_names_is_a_fault()
    {
        var hash = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(Key)));
        var fault = FaultOf(
            ("Management:ApiKeys:a:Key", Key), ("Management:ApiKeys:a:Scopes", "read"),
            ("Management:ApiKeys:b:KeySha256", hash), ("Management:ApiKeys:b:Scopes", "read"));

        fault.Should().Be(new ConfigurationFault("Management:ApiKeys:b", "is the same key as Management:ApiKeys:a"));
    }

    [Fact]
    public void A_key_needs_one_of_text_and_hash_and_some_scope()
    {
        FaultOf(("Management:ApiKeys:a:Scopes", "read")).Message.Should().Contain("needs Key or KeySha256");
        FaultOf(("Management:ApiKeys:a:Scopes", "read"), ("Management:ApiKeys:a:Key", "")).Message.Should().Contain("blank");
        FaultOf(("Management:ApiKeys:a:Scopes", "read"), ("Management:ApiKeys:a:Key", Key), ("Management:ApiKeys:a:KeySha256", new string('a', 64)))
            .Message.Should().Contain("not both");
        FaultOf(("Management:ApiKeys:a:Key", Key)).Key.Should().Be("Management:ApiKeys:a:Scopes");
        FaultOf(("Management:ApiKeys:a:Key", Key), ("Management:ApiKeys:a:Scopes", "")).Key.Should().Be("Management:ApiKeys:a:Scopes");
        FaultOf(("Management:ApiKeys:a:Key", Key), ("Management:ApiKeys:a:Scopes", "read,write")).Key.Should().Be("Management:ApiKeys:a:Scopes");
    }

    [Theory]
    [InlineData("Management:ApiKeys:a:Key", "tooshort-hidden")]
    [InlineData("Management:ApiKeys:a:Key", "with-line-feed-hidden\n")]
    [InlineData("Management:ApiKeys:a:KeySha256", "beef-hidden")]
    [InlineData("Mqtt:Password", "two\nlines-hidden")]
    [InlineData("Mqtt:Tls:KeyPassword", "two\nlines-hidden")]
    public void A_secret_at_fault_is_not_shown(string key, string secret)
    {
        var (_, faults) = Read((key, secret), ("Management:ApiKeys:a:Scopes", "read"), ("Mqtt:Username", "u"), ("Mqtt:Tls:CertificateFile", "c"));

        faults.Should().Contain(f => f.Key == key && f.Message.Contains("not shown"));
        faults.Should().OnlyContain(f => !f.ToString().Contains("hidden"));
    }

    [Fact]
    public void Secrets_are_not_shown_where_they_do_not_belong_either()
    {
        var (_, faults) = Read(
            ("Management:ApiKeys:a", "hidden"), ("Management:ApiKeys:b:Token", "hidden"), ("Mqtt:Pasword", "hidden"), ("Mqtt:Tls", "hidden"),
            ("Otlp:Endpoint", "http://user:hidden@collector:4317"), ("Mqtt:Addresses:tts", "http://user:hidden@tts:80"));

        faults.Count.Should().BeGreaterThanOrEqualTo(6);
        faults.Should().OnlyContain(f => !f.ToString().Contains("hidden"));
    }

    [Fact]
    public void A_configuration_in_print_shows_no_secret()
    {
        var value = Valid(
            ("Mqtt:Host", "broker"), ("Mqtt:Username", "u"), ("Mqtt:Password", " hidden "), ("Mqtt:Tls:CertificateFile", "c.pem"),
            ("Mqtt:Tls:KeyPassword", "hidden"));

        value.Mqtt.Password.Should().Be(" hidden ", "a password may begin and end with a space");
        value.ToString().Should().NotContain("hidden");
        value.Mqtt.Tls!.ToString().Should().NotContain("hidden");
    }
}
