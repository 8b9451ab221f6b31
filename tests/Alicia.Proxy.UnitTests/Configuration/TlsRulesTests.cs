using static Alicia.Proxy.UnitTests.Configuration.ReaderSteps;

namespace Alicia.Proxy.UnitTests.Configuration;

public class TlsRulesTests
{
    private static readonly (string Key, string Value) Certificate = ("Tls:Certificates:site:CertificateFile", "/etc/site.pem");

    [Theory]
    [InlineData("proxy+http://127.0.0.1:8080")]
    [InlineData("proxy+https://[::1]:8443")]
    [InlineData("proxy+h2c://*:8081")]
    public void A_listener_may_speak_the_PROXY_protocol_if_it_is_said_who_may(string address)
    {
        var value = Valid(("Listen:Proxy", address), ("ProxyProtocol:Trusted", "10.0.0.0/8"), Certificate);

        value.Listen.Proxy.Single().ProxyProtocol.Should().BeTrue();
        value.Listen.Proxy.Single().ToString().Should().Be(address);
        var fault = FaultOf(("Listen:Proxy", address), Certificate);
        fault.Key.Should().Be("Listen:Proxy");
        fault.Message.Should().Contain("ProxyProtocol:Trusted");
    }

    [Theory]
    [InlineData("Listen:Proxy")]
    [InlineData("Listen:Management")]
    public void A_listener_with_TLS_needs_a_certificate(string key)
    {
        var fault = FaultOf((key, "https://127.0.0.1:8443"));

        fault.Key.Should().Be(key);
        fault.Message.Should().Contain("Tls:Certificates:{name}:CertificateFile");
        Valid((key, "https://127.0.0.1:8443"), Certificate).Tls.Certificates.Single().Location.CertificateFile.Should().Be("/etc/site.pem");
    }

    [Fact]
    public void A_certificate_needs_a_file() => FaultOf(("Tls:Certificates:site:KeyFile", "/etc/site.key")).Key.Should().Be("Tls:Certificates:site:CertificateFile");

    [Fact]
    public void One_name_is_for_one_certificate()
    {
        var fault = FaultOf(
            Certificate, ("Tls:Certificates:site:Names", "a.example, *.example"), ("Tls:Certificates:two:CertificateFile", "/etc/two.pem"), ("Tls:Certificates:two:Names", "*.EXAMPLE"));

        fault.Key.Should().Be("Tls:Certificates:two:Names");
        fault.Message.Should().Contain("'*.example'").And.Contain("Tls:Certificates:site:Names");
    }

    [Theory]
    [InlineData("")]
    [InlineData("a.*.example")]
    [InlineData("*")]
    [InlineData("*example")]
    [InlineData("a..example")]
    [InlineData("https://a.example")]
    public void Such_a_name_is_none(string name) => FaultOf(Certificate, ("Tls:Certificates:site:Names", name)).Key.Should().Be("Tls:Certificates:site:Names");

    [Fact]
    public void The_default_must_be_one_that_there_is()
    {
        Valid(Certificate, ("Tls:DefaultCertificate", "site")).Tls.DefaultCertificate.Should().Be("site");
        FaultOf(Certificate, ("Tls:DefaultCertificate", "sight")).Key.Should().Be("Tls:DefaultCertificate");
    }

    [Theory]
    [InlineData("Tls:MinimumVersion", "1.1")]
    [InlineData("Tls:UnknownName", "maybe")]
    [InlineData("Tls:HandshakeTimeout", "00:00:00")]
    [InlineData("Listen:RedirectStatus", "302")]
    [InlineData("Listen:RedirectPort", "0")]
    [InlineData("ProxyProtocol:Trusted", "10.0.0.5/8")]
    public void Values_keep_to_their_rule(string key, string value) => FaultOf((key, value)).Key.Should().Be(key);

    [Fact]
    public void A_key_without_its_certificate_is_at_fault_towards_instances()
    {
        FaultOf(("Tls:Instances:inside:KeyFile", "/etc/k")).Should().Match<Alicia.Proxy.Configuration.ConfigurationFault>(
            f => f.Key == "Tls:Instances:inside:KeyFile" && f.Message.Contains("Tls:Instances:inside:CertificateFile"));
        Valid(("Tls:Instances:inside:CaFile", "/etc/ca")).Tls.Profiles.Single().CaFile.Should().Be("/etc/ca");
    }

    [Theory]
    [InlineData("Defaults:Tls:Profile")]
    [InlineData("Services:tts:Tls:Profile")]
    public void A_service_chooses_a_profile_that_there_is(string key)
    {
        Valid((key, "inside"), ("Tls:Instances:inside:CaFile", "/etc/ca")).Tls.Profiles.Single().Name.Should().Be("inside");
        Valid((key, "none")).Tls.Profiles.Should().BeEmpty();
        var fault = FaultOf((key, "inside"));
        (fault.Key, fault.Message).Should().Be((key, "there is no Tls:Instances:inside"));
    }

    [Fact]
    public void A_redirect_needs_somewhere_to_go()
    {
        FaultOf(("Listen:Redirect", "http://127.0.0.1:80")).Key.Should().Be("Listen:Redirect");
        Valid(("Listen:Redirect", "http://127.0.0.1:80"), ("Listen:RedirectPort", "443")).Listen.RedirectPort.Should().Be(443);
        var value = Valid(("Listen:Redirect", "http://127.0.0.1:80"), ("Listen:Proxy", "https://127.0.0.1:443"), Certificate);
        (value.Listen.RedirectPort, value.Listen.RedirectStatus).Should().Be((null, 308));
        FaultOf(("Listen:Redirect", "https://127.0.0.1:80"), Certificate).Key.Should().Be("Listen:Redirect");
    }

    [Fact]
    public void A_redirect_collides_like_any_listener() =>
        FaultOf(("Listen:Redirect", "http://127.0.0.1:8080"), ("Listen:RedirectPort", "443")).Message.Should().Contain("collides");

    [Fact]
    public void Passwords_are_not_shown()
    {
        Valid(Certificate, ("Tls:Certificates:site:Password", "secret word")).Tls.Certificates.Single().ToString().Should().NotContain("secret word");
        FaultOf(Certificate, ("Tls:Certificates:site:Password", "secret\nword")).Message.Should().NotContain("secret");
    }
}
