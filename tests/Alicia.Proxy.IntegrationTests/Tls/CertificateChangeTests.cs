using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Http2;
using Alicia.Proxy.IntegrationTests.Metrics;

namespace Alicia.Proxy.IntegrationTests.Tls;

/// <summary>Certificates that change under a running proxy, and files that cannot be used.</summary>
public sealed class CertificateChangeTests : IDisposable
{
    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [Fact]
    public async Task A_renewed_certificate_is_shown_from_the_next_handshake_on_and_no_connection_is_lost()
    {
        var (certificate, key) = _authority.Issue("site.test");
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartAsync(certificate, key);
        await proxy.Registry.RegisterActiveAsync("web", backend);
        var first = await SerialAsync(proxy.SecureAddress);
        var load = Load.Start(proxy.SecureAddress, 8, _ => "/web/status/200");
        using var kept = Clients.Create(proxy.SecureAddress, http2: true);
        using (await kept.GetAsync("/web/x")) { }

        // Half of a pair: the old one stays, and the key of the other may come at leisure.
        var old = (await File.ReadAllTextAsync(certificate), await File.ReadAllTextAsync(key));
        _authority.Issue("site.test");
        var fresh = await File.ReadAllTextAsync(key);
        await File.WriteAllTextAsync(key, old.Item2);
        await Eventually.Until("the pair that does not fit is refused", async () => (await ReloadsAsync(proxy, "refused")) == 1);
        (await SerialAsync(proxy.SecureAddress)).Should().Be(first);
        (await proxy.LoggedAsync(l => l.Contains("Tls:Certificates:site:KeyFile", StringComparison.Ordinal))).Should().ContainSingle();

        await File.WriteAllTextAsync(key, fresh);
        await Eventually.Until("the new certificate is shown", async () => await SerialAsync(proxy.SecureAddress) != first);
        await load.MoreAsync(200);
        var report = await load.StopAsync();

        report.Failures.Should().BeEmpty();
        report.ByStatus.Keys.Should().Equal(200);
        using var answer = await kept.GetAsync("/web/x");
        answer.IsSuccessStatusCode.Should().BeTrue();
        (await ReloadsAsync(proxy, "taken")).Should().Be(1);
        (await ReloadsAsync(proxy, "refused")).Should().Be(1);
    }

    [Fact]
    public async Task A_changed_configuration_brings_its_certificates_or_none()
    {
        var one = _authority.Issue("one.test");
        var two = _authority.Issue("two.test");
        await using var proxy = await StartAsync(one.Certificate, one.Key);
        await proxy.WriteConfigAsync(Json(one.Certificate, two.Key));
        await Eventually.Until("the fault is logged", () => proxy.Process.Errors.Any(l => l.Contains("Tls:Certificates:site:KeyFile", StringComparison.Ordinal)));
        (await NameAsync(proxy.SecureAddress)).Should().Be("one.test");

        await proxy.WriteConfigAsync(Json(two.Certificate, two.Key));
        await Eventually.Until("the other certificate is shown", async () => await NameAsync(proxy.SecureAddress) == "two.test");
    }

    [Theory]
    [InlineData(null)]
    [InlineData("validate")]
    public async Task A_key_of_another_certificate_is_a_fault_that_names_its_key(string? verb)
    {
        var (one, two) = (_authority.Issue("one.test"), _authority.Issue("two.test"));
        var end = await ProxyProcess.RunAsync(
        [
            .. verb is null ? Array.Empty<string>() : [verb],
            "--Listen:Proxy=https://127.0.0.1:0", "--Listen:Management=http://127.0.0.1:0", "--Registry:Store=memory",
            $"--Tls:Certificates:site:CertificateFile={one.Certificate}", $"--Tls:Certificates:site:KeyFile={two.Key}",
            "--Tls:Certificates:gone:CertificateFile=no/such/file.pem",
        ]);

        end.ExitCode.Should().Be(2);
        end.Output.Should().BeEmpty();
        end.Errors.Should().Contain(l => l.Contains("Tls:Certificates:site:KeyFile", StringComparison.Ordinal) && l.Contains("does not belong", StringComparison.Ordinal));
        end.Errors.Should().Contain(l => l.Contains("Tls:Certificates:gone:CertificateFile", StringComparison.Ordinal) && l.Contains("there is no file", StringComparison.Ordinal));
    }

    [NeedsPackageFact("openssl")]
    public async Task Strangers_old_versions_and_dawdlers_are_refused_where_configuration_says_so()
    {
        var (certificate, key) = _authority.Issue("site.test");
        await using var proxy = await StartAsync(
            certificate, key, "--Tls:UnknownName=refuse", "--Tls:MinimumVersion=1.3", "--Tls:HandshakeTimeout=00:00:02");

        (await OpenSsl.HandshakeAsync(proxy.SecureAddress, _authority.BundleFile, "-servername", "site.test")).Name.Should().Be("site.test");
        (await OpenSsl.HandshakeAsync(proxy.SecureAddress, _authority.BundleFile, "-servername", "stranger.test")).Name.Should().BeNull();
        (await OpenSsl.HandshakeAsync(proxy.SecureAddress, _authority.BundleFile, "-noservername")).Name.Should().BeNull();
        (await OpenSsl.HandshakeAsync(proxy.SecureAddress, _authority.BundleFile, "-servername", "site.test", "-tls1_2")).Said.Should().Contain("protocol version");
        using var silent = await RawConnection.ConnectAsync(proxy.SecureAddress);
        (await silent.ReadToEndAsync()).End.Should().NotBe(RawEnd.Deadline);

        await Eventually.Until("each is counted under its reason", async () => Counts(await MetricsPage.ReadAsync(proxy.Api)), counts => counts == "done 1, unknown 2, protocol 1, timeout 1");

        static string Counts(MetricsPage page) => string.Create(CultureInfo.InvariantCulture,
            $"done {page.Sum("alicia_tls_handshakes_total")}, unknown {Failed(page, "unknown_name")}, protocol {Failed(page, "protocol")}, timeout {Failed(page, "timeout")}");

        static double Failed(MetricsPage page, string reason) => page.Sum("alicia_tls_handshakes_failed_total", ("reason", reason));
    }

    private static Task<ProxyProcess> StartAsync(string certificate, string key, params string[] arguments) => ProxyProcess.StartAsync(new ProxyOptions
    {
        Listen = "https://127.0.0.1:0",
        ConfigJson = Json(certificate, key),
        Arguments = arguments,
    });

    private static string Json(string certificate, string key) =>
        $$"""{ "Tls": { "Certificates": { "site": { "CertificateFile": "{{certificate}}", "KeyFile": "{{key}}" } } } }""";

    private static async Task<double> ReloadsAsync(ProxyProcess proxy, string result) =>
        (await MetricsPage.ReadAsync(proxy.Api)).Sum("alicia_tls_certificate_reloads_total", ("result", result));

    private static async Task<string> NameAsync(Uri address) => (await CertificateAsync(address)).GetNameInfo(X509NameType.SimpleName, forIssuer: false);

    private static async Task<string> SerialAsync(Uri address) => (await CertificateAsync(address)).SerialNumber;

    private static async Task<X509Certificate2> CertificateAsync(Uri address)
    {
        using var client = new TcpClient();
        using var late = new CancellationTokenSource(Deadlines.Wait);
        await client.ConnectAsync(address.Host, address.Port, late.Token);
        await using var tls = new SslStream(client.GetStream());
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions { TargetHost = "site.test", RemoteCertificateValidationCallback = static (_, _, _, _) => true }, late.Token);
        return X509CertificateLoader.LoadCertificate(tls.RemoteCertificate!.GetRawCertData());
    }
}
