using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Alicia.Proxy.Corpus;
using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Metrics;
using Alicia.Proxy.IntegrationTests.Tls;

namespace Alicia.Proxy.IntegrationTests.Strictness;

/// <summary>Management reads requests as strictly as the data plane, in-line ones too, and has a bound on connections.</summary>
public sealed partial class ManagementStrictnessTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    /// <summary>As management has it.</summary>
    private const int ConnectionsPerAddress = 1024;

    [Fact]
    public async Task Ill_formed_requests_are_refused_as_on_the_data_plane()
    {
        var host = fixture.Proxy.ManagementAddress.Authority;
        var faults = new List<string>();
        await Parallel.ForEachAsync(RequestCorpus.All.Where(c => c.Status != 0), new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (found, _) =>
        {
            var answer = await RawHttp.SendAsync(fixture.Proxy.ManagementAddress, found.Bytes.Replace("{host}", host, StringComparison.Ordinal));
            var status = StatusLine().Matches(answer.Text) is [.., var last] ? int.Parse(last.Groups[1].Value, CultureInfo.InvariantCulture) : 0;
            if (status != found.Status || answer.End != RawEnd.Closed)
            {
                lock (faults)
                    faults.Add($"{found.Name}: {status} ({answer.End}) and not {found.Status}");
            }
        });

        faults.Should().BeEmpty();
        var refused = await RawHttp.SendAsync(fixture.Proxy.ManagementAddress, $"GET /health HTTP/1.1\r\nHost: {host}\r\nX : 1\r\n\r\n");
        refused.Values("Content-Type").Should().Equal("application/problem+json");
        refused.Body.Should().Contain("A blank stands before a field's colon.");
        (await fixture.Proxy.Api.GetAsync("/health")).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task Connections_of_one_address_beyond_the_bound_are_closed_and_counted_and_room_that_comes_free_is_used()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory"] });
        var crowd = new List<RawConnection>();
        try
        {
            for (var i = 0; i < ConnectionsPerAddress + 8; i++)
                crowd.Add(await RawConnection.ConnectAsync(proxy.ManagementAddress));
            (await crowd[^1].ReadToEndAsync()).End.Should().BeOneOf(RawEnd.Closed, RawEnd.Reset);
        }
        finally
        {
            foreach (var connection in crowd)
                connection.Dispose();
        }

        await Eventually.Until("management is served, and has counted", async () =>
        {
            try
            {
                return (await MetricsPage.ReadAsync(proxy.Api)).Sum("alicia_client_connections_refused_total", ("limit", "management")) >= 1;
            }
            catch (HttpRequestException)
            {
                // Closed: some of the crowd is still there.
                return false;
            }
        });
    }

    [Theory]
    [InlineData("path:/services/web/balance/x#y")]
    [InlineData("x:a\u0001b")]
    [InlineData("proxy-connection:close")]
    public async Task In_line_requests_of_HTTP_2_that_could_not_be_requests_of_HTTP_1_1_go_nowhere(string special)
    {
        var secure = new SecureProxy();
        await secure.InitializeAsync();
        try
        {
            await using var upstream = new RecordingUpstream();
            await secure.Proxy.Registry.RegisterAsync("raw", "127.0.0.1", upstream.Port, query: "wait=10");
            await using var relay = new TlsRelay(secure.Proxy.ManagementAddress);
            using var caller = await RawHttp2.ConnectAsync(relay.Address);
            var colon = special.IndexOf(':', StringComparison.Ordinal);
            var (name, value) = (special[..colon], special[(colon + 1)..]);
            (string, string)[] head = [(":method", "GET"), (":scheme", "https"), (":authority", secure.Proxy.ManagementAddress.Authority), (":path", name == "path" ? value.Replace("web", "raw", StringComparison.Ordinal) : "/services/raw/balance/x")];

            await caller.SendHeadAsync(1, RawHttp2.Fields(name == "path" ? head : [.. head, (name, value)]));
            await caller.SendHeadAsync(3, RawHttp2.Fields([.. head[..3], (":path", "/services/raw/balance/last")]));

            (await caller.OutcomeAsync(1)).Should().BeOneOf(400, 0);
            (await caller.OutcomeAsync(3)).Should().Be(200);
            upstream.Received.SelectMany(ForwardedRequests.Of).Should().ContainSingle().Which.Head.Should().StartWith("GET /last ");
        }
        finally
        {
            await secure.DisposeAsync();
        }
    }

    [GeneratedRegex("HTTP/1\\.1 ([0-9]{3}) ", RegexOptions.CultureInvariant)]
    private static partial Regex StatusLine();

    /// <summary>Takes one connection in clear text and goes on with it over TLS, as HTTP/2.</summary>
    private sealed class TlsRelay : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(System.Net.IPAddress.Loopback, 0);
        private readonly CancellationTokenSource _ended = new();
        private readonly Task _running;

        public TlsRelay(Uri target)
        {
            _listener.Start();
            _running = RunAsync(target);
        }

        public Uri Address => new($"http://{_listener.LocalEndpoint}");

        public async ValueTask DisposeAsync()
        {
            await _ended.CancelAsync();
            _listener.Stop();
            await _running;
            _ended.Dispose();
        }

        private async Task RunAsync(Uri target)
        {
            try
            {
                using var near = await _listener.AcceptTcpClientAsync(_ended.Token);
                using var far = new TcpClient();
                await far.ConnectAsync(target.Host, target.Port, _ended.Token);
                await using var tls = new SslStream(far.GetStream());
                await tls.AuthenticateAsClientAsync(
                    new SslClientAuthenticationOptions { TargetHost = "site.test", ApplicationProtocols = [SslApplicationProtocol.Http2], RemoteCertificateValidationCallback = (_, _, _, _) => true }, _ended.Token);
                await Task.WhenAny(near.GetStream().CopyToAsync(tls, _ended.Token), tls.CopyToAsync(near.GetStream(), _ended.Token));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or IOException or ObjectDisposedException or InvalidOperationException)
            {
                // The test is over.
            }
        }
    }
}
