using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Http2;
using Alicia.Proxy.IntegrationTests.Metrics;

namespace Alicia.Proxy.IntegrationTests.Tls;

/// <summary>Listeners whose connections begin with a PROXY header: by hand, and behind HAProxy.</summary>
public sealed class ProxyProtocolTests(AnnouncedProxy announced) : IClassFixture<AnnouncedProxy>
{
    private const string Text = "PROXY TCP4 192.0.2.7 203.0.113.1 56324 443\r\n";
    private const string Request = "GET /web/x HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n";
    private static readonly byte[] Binary =
    [
        .. "\r\n\r\n\0\r\nQUIT\n"u8, 0x21, 0x21, 0, 44, .. new byte[] { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7 }, .. new byte[16], 0xdc, 4, 1, 0xbb,
        4, 0, 5, 1, 2, 3, 4, 5,
    ];

    private static readonly byte[] Local = [.. "\r\n\r\n\0\r\nQUIT\n"u8, 0x20, 0x11, 0, 12, 192, 0, 2, 7, 192, 0, 2, 8, 1, 1, 1, 1];

    private readonly ProxyProcess _proxy = announced.Proxy;
    private readonly Backend _backend = announced.Backend;

    [Fact]
    public async Task The_announced_address_is_the_caller_s_in_both_forms()
    {
        (await CallerOfAsync(Encoding.ASCII.GetBytes(Text + Request))).Should().Be("192.0.2.7");
        (await CallerOfAsync([.. Binary, .. Encoding.ASCII.GetBytes(Request)])).Should().Be("2001:db8::7");
        (await CallerOfAsync([.. Local, .. Encoding.ASCII.GetBytes(Request)])).Should().Be("127.0.0.1");
        (await CallerOfAsync(Encoding.ASCII.GetBytes("PROXY UNKNOWN\r\n" + Request))).Should().Be("127.0.0.1");
        await Eventually.Until("the access log has the callers", () => _proxy.Output.Any(l => l.Contains("\"192.0.2.7\"", StringComparison.Ordinal))
            && _proxy.Output.Any(l => l.Contains("\"2001:db8::7\"", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task However_the_header_is_cut_it_is_the_same()
    {
        byte[] whole = [.. Binary, .. Encoding.ASCII.GetBytes(Request)];
        foreach (var at in new[] { 1, 12, 13, 15, 16, 20, 52, 59, 60, 61 })
            (await CallerOfAsync(whole, at)).Should().Be("2001:db8::7", at.ToString(CultureInfo.InvariantCulture));
        var text = Encoding.ASCII.GetBytes(Text + Request);
        foreach (var at in new[] { 1, 5, 6, Text.Length - 1, Text.Length, Text.Length + 1 })
            (await CallerOfAsync(text, at)).Should().Be("192.0.2.7", at.ToString(CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Without_a_header_there_is_no_answer_but_a_count()
    {
        await _backend.ResetAsync();
        // The proxy is shared: what was refused before is not this test's.
        var before = await MetricsPage.ReadAsync(_proxy.Api);
        await RefusedAsync(Request, end: false);
        await RefusedAsync("PROXY TCP4 192.0.2.7 203.0.113.1 56324 443\n" + Request, end: false);
        await RefusedAsync("PROXY TCP4 192.0.2.7", end: true);
        await RefusedAsync("PROXY TCP4 192.0.2.7", end: false);

        await Eventually.Until("each is counted under its reason", async () =>
        {
            var now = await MetricsPage.ReadAsync(_proxy.Api);
            return string.Join(", ", new[] { "malformed", "missing", "timeout", "untrusted" }.Select(reason => $"{Refused(now, reason) - Refused(before, reason)} {reason}"));
        }, counts => counts == "2 malformed, 1 missing, 1 timeout, 0 untrusted");
        (await _backend.StatsAsync()).Requests.Should().Be(0);

        async Task RefusedAsync(string text, bool end)
        {
            using var raw = await RawConnection.ConnectAsync(_proxy.Listener("proxy+http"));
            await raw.SendAsync(text);
            if (end)
                raw.EndInput();
            var (answer, how) = await raw.ReadToEndAsync();
            answer.Should().BeEmpty();
            how.Should().NotBe(RawEnd.Deadline);
        }
    }

    [Fact]
    public async Task Who_is_not_trusted_is_not_heard_and_the_health_verb_says_whom_it_is_for()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Listen = "proxy+http://127.0.0.1:0", Arguments = ["--ProxyProtocol:Trusted=192.0.2.0/24"] });
        try
        {
            using var raw = await RawConnection.ConnectAsync(proxy.Listener("proxy+http"));
            (await raw.ReadToEndAsync()).Should().NotBe(("", RawEnd.Deadline)).And.Match<(string Text, RawEnd End)>(read => read.Text.Length == 0);
        }
        catch (SocketException)
        {
            // Cut off before the connection was so much as seen to be open.
        }

        await Eventually.Until("it is counted", async () => Refused(await MetricsPage.ReadAsync(proxy.Api), "untrusted") == 1);

        // Whoever announces others wants them to show a key.
        string[] settings = ["--ProxyProtocol:Trusted=127.0.0.1", "--Management:ApiKeys:test:Key=0123456789abcdef", "--Management:ApiKeys:test:Scopes=read"];
        await using var behind = await ProxyProcess.StartAsync(new ProxyOptions
        {
            ListenManagement = "proxy+http://127.0.0.1:0",
            Arguments = settings,
            WaitForReady = false,
        });
        var authority = behind.ManagementAddress.Authority;
        await Eventually.Until("the proxy is ready", async () =>
            (await ProxyProcess.RunAsync(["health", $"--Listen:Management=proxy+http://{authority}", .. settings])).ExitCode == 0);
    }

    [Fact]
    public async Task The_header_comes_before_TLS()
    {
        using var client = new TcpClient();
        var address = _proxy.Listener("proxy+https");
        await client.ConnectAsync(address.Host, address.Port);
        await client.GetStream().WriteAsync(Binary);
        await using var tls = new SslStream(client.GetStream());
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "site.test", RemoteCertificateValidationCallback = static (_, _, _, _) => true });
        await tls.WriteAsync(Encoding.ASCII.GetBytes(Request));
        CallerIn(await new StreamReader(tls, Encoding.Latin1).ReadToEndAsync()).Should().Be("2001:db8::7");
    }

    [NeedsPackageTheory("haproxy", "curl")]
    [InlineData("send-proxy", "proxy+http", "")]
    [InlineData("send-proxy-v2", "proxy+http", "")]
    [InlineData("send-proxy-v2 proxy-v2-options unique-id", "proxy+http", "")]
    [InlineData("send-proxy", "proxy+https", "--insecure")]
    [InlineData("send-proxy-v2", "proxy+https", "--insecure")]
    [InlineData("send-proxy-v2", "proxy+h2c", "--http2-prior-knowledge")]
    public async Task HAProxy_in_front_tells_who_calls(string option, string scheme, string curl)
    {
        await using var haproxy = await HaproxyRelay.StartAsync(_proxy.Listener(scheme), option);
        await using var call = ChildProcess.Start("curl",
            ["-sS", .. curl.Split(' ', StringSplitOptions.RemoveEmptyEntries), "--interface", "127.0.0.9", $"{(scheme.EndsWith('s') ? "https" : "http")}://127.0.0.1:{haproxy.Port}/web/x"]);
        (await call.WaitForExitAsync()).Should().Be(0, call.Transcript);

        CallerIn(string.Join('\n', call.Output)).Should().Be("127.0.0.9");
    }

    private static double Refused(MetricsPage page, string reason) => page.Sum("alicia_proxy_protocol_refused_total", ("reason", reason));

    private async Task<string> CallerOfAsync(byte[] sent, int? cut = null)
    {
        using var raw = await RawConnection.ConnectAsync(_proxy.Listener("proxy+http"));
        if (cut is { } at)
        {
            await raw.SendAsync(sent.AsMemory(0, at));
            // Whether the proxy has looked before the rest is there may not matter; that every cut is read alike is shown where the parser is tested.
            sent = sent[at..];
        }

        await raw.SendAsync(sent);
        return CallerIn((await raw.ReadToEndAsync()).Text);
    }

    /// <summary>The caller that the echoed request names.</summary>
    private static string CallerIn(string answer)
    {
        answer.Should().Contain("{");
        using var echo = JsonDocument.Parse(answer[answer.IndexOf('{', StringComparison.Ordinal)..(answer.LastIndexOf('}') + 1)]);
        return echo.RootElement.GetProperty("headers").EnumerateArray().Single(h => h[0].GetString() == "X-Forwarded-For")[1].GetString()!;
    }
}

/// <summary>A proxy of which every data listener wants a PROXY header, and a backend as the service <c>web</c>.</summary>
public sealed class AnnouncedProxy : IAsyncLifetime
{
    private readonly TestAuthority _authority = new();

    internal ProxyProcess Proxy { get; private set; } = null!;

    internal Backend Backend { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        var (certificate, key) = _authority.Issue("site.test");
        Backend = await Backend.StartAsync("a");
        Proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Listen = "proxy+http://127.0.0.1:0;proxy+https://127.0.0.1:0;proxy+h2c://127.0.0.1:0",
            Arguments =
            [
                "--ProxyProtocol:Trusted=127.0.0.0/8", "--ProxyProtocol:Timeout=00:00:03", "--Logging:AccessLog=on",
                $"--Tls:Certificates:site:CertificateFile={certificate}", $"--Tls:Certificates:site:KeyFile={key}",
            ],
        });
        await Proxy.Registry.RegisterActiveAsync("web", Backend);
    }

    public async Task DisposeAsync()
    {
        if (Proxy is not null)
            await Proxy.DisposeAsync();
        if (Backend is not null)
            await Backend.DisposeAsync();
        _authority.Dispose();
    }
}
