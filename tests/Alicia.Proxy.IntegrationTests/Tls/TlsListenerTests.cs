using System.Globalization;
using System.Net;
using System.Net.WebSockets;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Metrics;

namespace Alicia.Proxy.IntegrationTests.Tls;

/// <summary>What callers over TLS see, by openssl and curl.</summary>
public sealed class TlsListenerTests(SecureProxy secure) : IClassFixture<SecureProxy>
{
    private Uri Address => secure.Proxy.SecureAddress;

    private string CaFile => secure.Authority.BundleFile;

    [NeedsPackageTheory("openssl")]
    [InlineData("site.test", "site.test")]
    [InlineData("a.wild.test", "*.wild.test")]
    [InlineData("B.WILD.test", "*.wild.test")]
    [InlineData("locked.test", "locked.test")]
    [InlineData("stranger.test", "site.test")]
    [InlineData("a.b.wild.test", "site.test")]
    [InlineData(null, "site.test")]
    public async Task The_name_in_the_hello_chooses_the_certificate(string? asked, string shown)
    {
        var handshake = await OpenSsl.HandshakeAsync(Address, CaFile, asked is null ? ["-noservername"] : ["-servername", asked]);

        handshake.Name.Should().Be(shown, handshake.Said);
        handshake.Said.Should().Contain("Verify return code: 0 (ok)");
    }

    [NeedsPackageTheory("openssl")]
    [InlineData("h2,http/1.1", "ALPN protocol: h2")]
    [InlineData("http/1.1", "ALPN protocol: http/1.1")]
    [InlineData("http/1.1,h2", "ALPN protocol: h2")]
    [InlineData("http/0.9,http/1.1", "ALPN protocol: http/1.1")]
    [InlineData(null, "No ALPN negotiated")]
    [InlineData("spdy/3", "no application protocol")]
    public async Task HTTP_2_or_HTTP_1_1_is_agreed_on_or_nothing(string? offered, string said)
    {
        var handshake = await OpenSsl.HandshakeAsync(Address, CaFile, offered is null ? [] : ["-alpn", offered]);

        handshake.Said.Should().Contain(said);
        (handshake.Name is null).Should().Be(offered == "spdy/3");
    }

    [NeedsPackageTheory("openssl")]
    [InlineData("-tls1_3", "TLSv1.3")]
    [InlineData("-tls1_2", "TLSv1.2")]
    [InlineData("-tls1_1", null)]
    [InlineData("-tls1", null)]
    public async Task TLS_1_2_and_1_3_are_spoken_and_nothing_older(string version, string? agreed)
    {
        // Debian's openssl would not so much as say hello in an old version at its usual level.
        var handshake = await OpenSsl.HandshakeAsync(Address, CaFile, version, "-cipher", "DEFAULT@SECLEVEL=0");

        if (agreed is null)
            handshake.Said.Should().Contain("alert protocol version").And.NotContain("subject=");
        else
            handshake.Said.Should().Contain($"New, {agreed}, Cipher is");
    }

    [NeedsPackageTheory("curl")]
    [InlineData("--http2", "2", "HTTP/1.1")]
    [InlineData("--http1.1", "1.1", "HTTP/1.1")]
    public async Task Curl_is_served_and_instances_hear_of_https(string option, string version, string upstream)
    {
        var port = Address.Port.ToString(CultureInfo.InvariantCulture);
        await using var curl = ChildProcess.Start("curl",
            ["-sS", option, "--cacert", CaFile, "--resolve", $"a.wild.test:{port}:127.0.0.1", "-w", "\n%{http_version} %{http_code}", $"https://a.wild.test:{port}/web/x"]);
        (await curl.WaitForExitAsync()).Should().Be(0, curl.Transcript);

        curl.Output[^1].Should().Be($"{version} 200");
        curl.Output[0].Should().Contain("""["X-Forwarded-Proto","https"]""").And.Contain($"""["X-Forwarded-Host","a.wild.test:{port}"]""").And.Contain(upstream);
    }

    [NeedsPackageFact("curl")]
    public async Task Curl_refuses_a_certificate_for_another_name()
    {
        await using var curl = ChildProcess.Start("curl", ["-sS", "--cacert", CaFile, Address.ToString()]);

        (await curl.WaitForExitAsync()).Should().Be(60, curl.Transcript);
    }

    [Fact]
    public async Task WebSockets_and_large_bodies_go_through_TLS()
    {
        using var socket = new ClientWebSocket();
        socket.Options.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
        using var late = new CancellationTokenSource(Deadlines.Wait);
        await socket.ConnectAsync(new Uri($"wss://{Address.Authority}/web/ws"), late.Token);
        await socket.SendAsync(Encoding.ASCII.GetBytes("over TLS"), WebSocketMessageType.Text, endOfMessage: true, late.Token);
        var buffer = new byte[64];
        var answer = await socket.ReceiveAsync(buffer.AsMemory(), late.Token);
        Encoding.ASCII.GetString(buffer, 0, answer.Count).Should().Be("over TLS");
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, late.Token);

        foreach (var http2 in new[] { false, true })
        {
            using var client = Clients.Create(Address, http2);
            using var sent = await client.PostAsync("/web/sink", new ByteArrayContent(new byte[3_000_000]));
            (await sent.Content.ReadAsStringAsync()).Should().Contain("3000000");
            (await client.GetByteArrayAsync("/web/bytes?n=3000000")).Should().HaveCount(3_000_000);
        }
    }

    [Fact]
    public async Task Management_answers_over_TLS_and_the_health_verb_asks_it_there()
    {
        secure.Proxy.ManagementAddress.Scheme.Should().Be("https");
        using var ready = await secure.Proxy.Api.GetAsync("/health/ready");
        ready.StatusCode.Should().Be(HttpStatusCode.OK);

        var end = await ProxyProcess.RunAsync(
            ["health", $"--Listen:Management={secure.Proxy.ManagementAddress.GetLeftPart(UriPartial.Authority)}", $"--Tls:Certificates:site:CertificateFile={CaFile}"]);
        end.ExitCode.Should().Be(0, string.Join('\n', end.Errors));
        end.Output.Should().Equal("ready");
    }

    [Fact]
    public async Task Callers_in_clear_text_are_sent_to_TLS_and_instances_see_nothing_of_them()
    {
        await secure.Backend.ResetAsync();
        using var client = Clients.Create(secure.Redirect);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/web/a%2Fb?c=d") { Content = new StringContent("body") };
        request.Headers.Host = $"site.test:{secure.Redirect.Port}";
        using var answer = await client.SendAsync(request);
        answer.StatusCode.Should().Be(HttpStatusCode.PermanentRedirect);
        answer.Headers.GetValues("Location").Should().Equal($"https://site.test:{Address.Port}/web/a%2Fb?c=d");
        (await answer.Content.ReadAsByteArrayAsync()).Should().BeEmpty();

        using var raw = await RawConnection.ConnectAsync(secure.Redirect);
        await raw.SendAsync("GET /health/ready HTTP/1.1\r\nHost: a b\r\n\r\n");
        (await raw.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 400 ");
        (await secure.Backend.StatsAsync()).Requests.Should().Be(0);
    }

    [Fact]
    public async Task What_comes_of_handshakes_is_counted()
    {
        var before = await MetricsPage.ReadAsync(secure.Proxy.Api);
        using (var clear = await RawConnection.ConnectAsync(Address))
        {
            await clear.SendAsync("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
            (await clear.ReadToEndAsync()).End.Should().NotBe(RawEnd.Deadline);
        }

        await Eventually.Until("the failure is counted", async () => Count(await MetricsPage.ReadAsync(secure.Proxy.Api)) > Count(before));
        var page = await MetricsPage.ReadAsync(secure.Proxy.Api);
        var ends = page.Of("alicia_tls_certificate_expiry_seconds", ("use", "server")).ToArray();
        ends.Select(s => s.Labels["certificate"]).Order().Should().Equal("locked", "site", "wild");
        ends.Should().OnlyContain(s => s.Value > 80_000 && s.Value < 86_401);

        static double Count(MetricsPage page) => page.Sum("alicia_tls_handshakes_failed_total", ("reason", "no_hello"));
    }
}
