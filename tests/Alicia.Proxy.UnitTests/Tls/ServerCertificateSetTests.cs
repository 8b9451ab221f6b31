using Alicia.Proxy.Tls;

namespace Alicia.Proxy.UnitTests.Tls;

public sealed class ServerCertificateSetTests : IDisposable
{
    private readonly TestCertificates _files = new();

    public ServerCertificateSetTests()
    {
        var ends = DateTimeOffset.UtcNow.AddDays(30);
        _files.Issue("exact", ["www.example.org", "Mail.Example.org", "127.0.0.1"], ends);
        _files.Issue("wild", ["*.example.org", "example.org"], ends);
        _files.Issue("common", [], ends);
    }

    public void Dispose() => _files.Dispose();

    [Theory]
    [InlineData("www.example.org", "exact")]
    [InlineData("WWW.example.ORG", "exact")]
    [InlineData("www.example.org.", "exact")]
    [InlineData("mail.example.org", "exact")]
    [InlineData("other.example.org", "wild")]
    [InlineData("example.org", "wild")]
    [InlineData("a.b.example.org", null)]
    [InlineData("example.com", null)]
    [InlineData("org", null)]
    [InlineData(".example.org", null)]
    [InlineData("*.example.org", "wild")]
    [InlineData("common.example", "common")]
    [InlineData("", null)]
    [InlineData(".", null)]
    public void The_name_in_the_hello_chooses_an_exact_name_before_a_wildcard_before_the_default(string asked, string? found)
    {
        ServerCertificate[] all = [Of("exact"), Of("wild"), Of("common")];

        new ServerCertificateSet([.. all], "wild", refuseUnknownNames: false).Find(asked)!.Name.Should().Be(found ?? "wild");
        new ServerCertificateSet([.. all], null, refuseUnknownNames: false).Find(asked)!.Name.Should().Be(found ?? "exact", "without a word on it the first is the default");
        new ServerCertificateSet([.. all], "wild", refuseUnknownNames: true).Find(asked)?.Name.Should().Be(found);
    }

    [Fact]
    public void Configured_names_take_the_place_of_those_in_the_certificate_and_precedence_over_those_of_others()
    {
        var set = new ServerCertificateSet([Of("exact"), Of("wild", "www.example.org", "*.internal")], null, refuseUnknownNames: true);

        set.Find("www.example.org")!.Name.Should().Be("wild");
        set.Find("a.internal")!.Name.Should().Be("wild");
        set.Find("mail.example.org")!.Name.Should().Be("exact");
        set.Find("example.org").Should().BeNull("the certificate's own names do not count any more");
    }

    [Fact]
    public void Without_certificates_nobody_gets_one() => ServerCertificateSet.Empty.Find("a.example").Should().BeNull();

    private ServerCertificate Of(string name, params string[] names)
    {
        var configuration = _files.Configured(name, names: names);
        return new ServerCertificate(configuration, CertificateFiles.Load(configuration.Location));
    }
}
