using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Errors;

/// <summary>What the proxy must answer to one fault.</summary>
/// <param name="InHead">False when the fault is in a body, so that a HEAD does not meet it.</param>
/// <param name="OverHttp2">The type for callers of HTTP/2, where it differs.</param>
internal sealed record Expected(int Status, string Type, int Grpc, bool RetryAfter = false, bool InHead = true, string? OverHttp2 = null);

/// <summary>
/// Brings about, for a service of its own, each fault that the table of proxy-made answers has a row for; what it takes lives until this is disposed.
/// </summary>
internal sealed class Faults(DataPlaneFixture fixture) : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _held = [];

    /// <summary>Every fault by name.</summary>
    public static IReadOnlyDictionary<string, (Expected Expected, Func<Faults, Task<string>> Bring)> All { get; } =
        new Dictionary<string, (Expected, Func<Faults, Task<string>>)>
        {
            ["unknown service"] = (new(404, "destination_not_found", 12), _ => Task.FromResult("nobody.alicia.local")),
            ["no instance"] = (new(503, "destination_unavailable", 14, true), f => f.NoInstanceAsync(draining: false)),
            ["only a draining instance"] = (new(503, "destination_unavailable", 14, true), f => f.NoInstanceAsync(draining: true)),
            ["all full"] = (new(503, "connection_limit_reached", 8, true), f => f.FullAsync()),
            ["refused"] = (new(502, "connection_refused", 14), f => f.OnPortAsync(ClosedPort())),
            ["closed before the head"] = (new(502, "connection_terminated", 14), f => f.AnswersAsync("")),
            ["closed inside the head"] = (new(502, "connection_terminated", 14), f => f.AnswersAsync("HTTP/1.1 200 OK\r\nX: ")),
            ["reset before the head"] = (new(502, "connection_terminated", 14), f => f.ScriptAsync((connection, _) => { connection.Reset(); return Task.CompletedTask; })),
            ["does not accept"] = (new(504, "connection_timeout", 4), f => f.FullBacklogAsync()),
            ["does not answer"] = (new(504, "http_response_timeout", 4), f => f.SilentAsync(new { timeouts = new { response = 0.2 } })),
            ["does not answer in all"] = (new(504, "http_response_timeout", 4), f => f.SilentAsync(new { timeouts = new { overall = 0.2 } })),
            ["not HTTP"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync("220 mail.example ESMTP\r\n\r\n")),
            ["HTTP of another version"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync("HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n")),
            ["status of two digits"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n")),
            ["status below 100"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync("HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n")),
            ["field without a colon"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync("HTTP/1.1 200 OK\r\nwhat\r\n\r\n")),
            ["field name with a blank"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync("HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n")),
            ["control character in a value"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync("HTTP/1.1 200 OK\r\nX: a\u0001b\r\nContent-Length: 0\r\n\r\n")),
            ["head too large"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync($"HTTP/1.1 200 OK\r\nX: {new string('x', 140_000)}\r\n\r\n")),
            ["length that is no number"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok")),
            ["two lengths"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok")),
            ["malformed first chunk"] = (new(502, "http_protocol_error", 14, InHead: false), f => f.AnswersAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")),
            ["transfer coding not asked for"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")),
            ["205 with a body"] = (new(502, "http_protocol_error", 14), f => f.AnswersAsync("HTTP/1.1 205 Reset\r\nContent-Length: 2\r\n\r\nok")),
            ["switches protocols unasked"] = (new(502, "http_upgrade_failed", 14, OverHttp2: "http_protocol_error"), f => f.AnswersAsync("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")),
            ["name unknown"] = (new(502, "dns_error", 14), f => f.NameAsync("nothing.invalid")),
            ["certificate not trusted"] = (new(502, "tls_certificate_error", 14), f => f.TlsAsync()),
            ["plain text where TLS was said"] = (new(502, "tls_protocol_error", 14), f => f.PlainAsync("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")),
            ["closes where TLS was said"] = (new(502, "tls_protocol_error", 14), f => f.PlainAsync("")),
            ["loop"] = (new(508, "proxy_loop_detected", 14), f => f.LoopAsync()),
        };

    public Task<string> BringAsync(string name) => All[name].Bring(this);

    public async ValueTask DisposeAsync()
    {
        foreach (var held in Enumerable.Reverse(_held))
            await held.DisposeAsync();
    }

    /// <summary>A port of loopback that nobody listens on.</summary>
    private static int ClosedPort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static X509Certificate2 SelfSigned()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        return request.CreateSelfSigned(DateTimeOffset.UnixEpoch.AddYears(50), DateTimeOffset.UnixEpoch.AddYears(100));
    }

    private Task<string> OnPortAsync(int port) => fixture.ServiceAsync("127.0.0.1", port);

    private Task<string> LoopAsync() => OnPortAsync(Held(TcpRelay.To(fixture.Address)).Port);

    private Task<string> NameAsync(string name) => fixture.ServiceAsync(name, 80);

    private async Task<string> NoInstanceAsync(bool draining)
    {
        var host = await fixture.ServiceAsync("127.0.0.1", ClosedPort());
        var service = host.Split('.')[0];
        var id = (await fixture.Proxy.Registry.ServiceAsync(service)).GetProperty("instances")[0].GetProperty("instance_id").GetString()!;
        using var gone = draining
            ? await fixture.Proxy.Registry.PatchInstanceAsync(service, id, new { state = "draining" })
            : await fixture.Proxy.Registry.DeleteInstanceAsync(service, id);
        gone.EnsureSuccessStatusCode();
        return host;
    }

    private async Task<string> FullAsync()
    {
        var arrived = new TaskCompletionSource();
        var upstream = Held(RawUpstream.Start(async (connection, _) =>
        {
            arrived.TrySetResult();
            await connection.ReadToEndAsync();
        }));
        var host = await fixture.ServiceAsync(upstream.Host, upstream.Port, instance: new { max_connections = 1 });
        var first = Held(new Closing(await RawConnection.ConnectAsync(fixture.Address)));
        await first.Connection.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        await arrived.Task.WaitAsync(Deadlines.Wait);
        return host;
    }

    /// <summary>A listener that accepts nothing, and whose queue is full, so that the kernel leaves further connections unanswered.</summary>
    private async Task<string> FullBacklogAsync()
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(0);
        Held(new Closing(listener));
        for (var i = 0; i < 16; i++)
        {
            var filling = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            Held(new Closing(filling));
            using var late = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
            try
            {
                await filling.ConnectAsync(listener.LocalEndPoint!, late.Token);
            }
            catch (OperationCanceledException)
            {
                return await fixture.ServiceAsync("127.0.0.1", ((IPEndPoint)listener.LocalEndPoint!).Port, new { timeouts = new { connect = 0.3 } });
            }
        }

        throw new InvalidOperationException("the listener's queue does not fill up");
    }

    private Task<string> SilentAsync(object settings) =>
        fixture.ServiceAsync(Held(RawUpstream.Start(async (connection, _) => await connection.ReadToEndAsync())), settings);

    private Task<string> AnswersAsync(string bytes) => fixture.ServiceAsync(Held(RawUpstream.Start(bytes)));

    private Task<string> ScriptAsync(Func<RawConnection, string, Task> script) => fixture.ServiceAsync(Held(RawUpstream.Start(script)));

    private Task<string> TlsAsync()
    {
        var certificate = SelfSigned();
        var server = Held(WireServer.Start(async wire =>
        {
            await using var tls = new SslStream(new NetworkStream(wire.Socket));
            try
            {
                await tls.AuthenticateAsServerAsync(certificate);
                await tls.CopyToAsync(Stream.Null);
            }
            catch (Exception refused) when (refused is IOException or System.Security.Authentication.AuthenticationException)
            {
                // The proxy does not trust the certificate.
            }
        }));
        return fixture.ServiceAsync("127.0.0.1", server.Port, instance: new { scheme = "https" });
    }

    private Task<string> PlainAsync(string answer)
    {
        var server = Held(WireServer.Start(async wire =>
        {
            await wire.ReadSomeAsync();
            await wire.SendAsync(answer);
        }));
        return fixture.ServiceAsync("127.0.0.1", server.Port, instance: new { scheme = "https" });
    }

    private T Held<T>(T disposable)
        where T : IAsyncDisposable
    {
        _held.Add(disposable);
        return disposable;
    }

    private sealed class Closing(IDisposable inner) : IAsyncDisposable
    {
        public RawConnection Connection => (RawConnection)inner;

        public ValueTask DisposeAsync()
        {
            inner.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
