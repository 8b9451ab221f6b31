using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>Nobody keeps the thread that others wait for: not who never has to wait himself, and not who does not read the log. The proxy has one processor, so that there is one such thread.</summary>
[Trait("Depends", "forwarder")]
public sealed class FairnessTests : IAsyncLifetime
{
    private const int Others = 200;
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private readonly RawUpstream _other = RawUpstream.Start(Ok);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _other.DisposeAsync();

    [Theory]
    [InlineData("Content-Length: 1099511627776\r\n\r\n", "")]
    [InlineData("Connection: close\r\n\r\n", "")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n", "10000\r\n")]
    public async Task An_answer_without_end_leaves_others_their_turn(string framing, string chunk)
    {
        var piece = new byte[chunk.Length + 0x10000 + (chunk.Length > 0 ? 2 : 0)];
        System.Text.Encoding.ASCII.GetBytes(chunk).CopyTo(piece, 0);
        if (chunk.Length > 0)
            "\r\n"u8.CopyTo(piece.AsSpan(^2));
        await using var endless = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync("HTTP/1.1 200 OK\r\n" + framing);
            // Until the caller has left.
            while (true)
                await connection.SendAsync(piece);
        });
        await using var proxy = await StartAsync();
        await RegisterAsync(proxy, "endless", endless);

        using var caller = await ConnectAsync(proxy);
        await caller.SendAsync("GET /endless/x HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray());
        await OthersAreServedAsync(proxy, ReadAllAsync(caller));
    }

    [Fact]
    public async Task A_body_without_end_leaves_others_their_turn()
    {
        await using var swallows = await Backend.StartAsync("a");
        await using var proxy = await StartAsync();
        await proxy.Registry.RegisterActiveAsync("swallows", swallows);

        using var caller = await ConnectAsync(proxy);
        await caller.SendAsync("POST /swallows/sink HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n"u8.ToArray());
        await OthersAreServedAsync(proxy, SendAllAsync(caller, new byte[0x10000]));
    }

    [Theory]
    [InlineData("GET /nobody HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("POST /nobody HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n")]
    public async Task Requests_without_end_that_are_answered_at_once_leave_others_their_turn(string request)
    {
        await using var proxy = await StartAsync();
        using var caller = await ConnectAsync(proxy);

        var reading = ReadAllAsync(caller);
        await OthersAreServedAsync(proxy, SendAllAsync(caller, [.. Enumerable.Repeat(System.Text.Encoding.ASCII.GetBytes(request), 1000).SelectMany(r => r)]), reading);
    }

    [Fact]
    public async Task A_log_that_nobody_reads_stops_nobody()
    {
        // A pipe that the proxy itself keeps open: it takes 64 KiB, and then no more.
        await using var proxy = await StartAsync(["bash", "-c", "mkfifo log && exec 3<>log && exec \"$@\" 2>&3", "--"], "--Logging:LogLevel:Default=Trace");
        await OthersAreServedAsync(proxy);
    }

    private static Task<ProxyProcess> StartAsync(string[]? wrapper = null, params string[] arguments) => ProxyProcess.StartAsync(new ProxyOptions
    {
        Environment = new Dictionary<string, string?> { ["DOTNET_PROCESSOR_COUNT"] = "1" },
        Wrapper = wrapper ?? [],
        Arguments = arguments,
    });

    private static async Task RegisterAsync(ProxyProcess proxy, string service, RawUpstream upstream)
    {
        using var registered = await proxy.Registry.RegisterAsync(service, upstream.Host, upstream.Port, extra: new { instance_id = "a" }, query: "wait=10");
        await RegistryApi.DocumentOfAsync(registered);
    }

    /// <summary>Others get their answers while <paramref name="endless"/> goes on.</summary>
    private async Task OthersAreServedAsync(ProxyProcess proxy, params Task[] endless)
    {
        await RegisterAsync(proxy, "other", _other);
        for (var i = 0; i < Others; i++)
        {
            using var late = new CancellationTokenSource(Deadlines.Start);
            using var answer = await proxy.Http.GetAsync("/other/x", late.Token);
            answer.StatusCode.Should().Be(HttpStatusCode.OK, $"of request {i}");
        }

        endless.Should().NotContain(t => t.IsCompleted);
    }

    private static async Task<Socket> ConnectAsync(ProxyProcess proxy)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(proxy.Address.Host, proxy.Address.Port);
        return socket;
    }

    private static async Task ReadAllAsync(Socket socket)
    {
        var buffer = new byte[0x40000];
        try
        {
            while (await socket.ReceiveAsync(buffer.AsMemory()) > 0)
            {
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private static async Task SendAllAsync(Socket socket, byte[] piece)
    {
        try
        {
            while (true)
                await socket.SendAsync(piece.AsMemory());
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }
}
