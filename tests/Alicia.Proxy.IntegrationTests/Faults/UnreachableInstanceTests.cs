using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>
/// Instances to which no connection comes about, in every way in which it may not. Nothing has been sent, so any request goes to another instance; that is another pick and no retry: it costs
/// no budget, and switching retries off does not switch it off.
/// </summary>
[Trait("Depends", "forwarder")]
public sealed class UnreachableInstanceTests(FaultyService faulty, ITestOutputHelper output) : IClassFixture<FaultyService>
{
    private static readonly object _noRetries = new { timeouts = new { connect = 0.3 }, retry = new { attempts = 0, budget_percent = 0, reserve = 0 } };

    private static readonly Dictionary<string, (int Status, string Error)> _faults = new()
    {
        ["refuses"] = (502, "connection_refused"),
        ["does not accept"] = (504, "connection_timeout"),
        ["has a name that means nothing"] = (502, "dns_error"),
        ["speaks no TLS"] = (502, "tls_protocol_error"),
    };

    public static TheoryData<string> Faults => [.. _faults.Keys];

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Where_no_instance_can_be_reached_the_caller_is_told_why(string fault)
    {
        await using var bad = await Unreachable.StartAsync(fault);
        var service = await faulty.ServiceAsync(_noRetries, good: false, bad.Extra, bad.Address, bad.Address);

        var ledger = await faulty.LoadAsync(service, 2);

        output.WriteLine($"{fault}: {ledger}");
        ledger.Some(f => f.Status != _faults[fault].Status || f.Error != _faults[fault].Error || ledger.ArrivalsOf(f) > 0).Should().BeEmpty();
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Any_request_goes_to_another_instance_with_retries_off_and_no_budget(string fault)
    {
        await using var bad = await Unreachable.StartAsync(fault);
        var service = await faulty.ServiceAsync(_noRetries, good: true, bad.Extra, bad.Address, bad.Address);

        // The second address of the name is as dead as the first; each request has its turn at both.
        var ledger = await faulty.LoadAsync(service, fault == "does not accept" ? 3 : 25, "echo");

        output.WriteLine($"{fault}: {ledger}");
        ledger.Some(f => f.Status != 200 || ledger.ArrivalsOf(f) != 1).Should().BeEmpty();
        var stats = await faulty.Proxy.Registry.GetJsonAsync($"/stats/{service}");
        stats.GetProperty("failed_requests").GetInt64().Should().Be(0, "a client's request counts by its end");
    }

    /// <summary>A body that nobody keeps is sent all the same: none of it has been read when another instance is picked.</summary>
    [Theory]
    [InlineData(10)]
    [InlineData(3_000_000)]
    public async Task A_body_of_any_size_goes_whole_to_another_instance(int size)
    {
        await using var bad = await Unreachable.StartAsync("refuses");
        var service = await faulty.ServiceAsync(_noRetries, good: true, bad: bad.Address);
        for (var i = 0; i < 6; i++)
        {
            var body = new byte[size];
            new Random(i).NextBytes(body);
            using var request = new HttpRequestMessage(HttpMethod.Post, $"/{service}/sink") { Content = new ByteArrayContent(body) };
            request.Headers.TransferEncodingChunked = i % 2 == 0;
            using var answer = await faulty.Proxy.Http.SendAsync(request);

            var text = await answer.Content.ReadAsStringAsync();
            text.Should().Contain(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(body)));
        }
    }

    /// <summary>An address at which no connection comes about.</summary>
    private sealed class Unreachable : IAsyncDisposable
    {
        private readonly List<IDisposable> _held = [];
        private WireServer? _server;

        public (string Host, int Port) Address { get; private set; }

        /// <summary>Fields of its registration.</summary>
        public object? Extra { get; private set; }

        public static async Task<Unreachable> StartAsync(string fault)
        {
            var bad = new Unreachable();
            switch (fault)
            {
                case "refuses":
                    bad.Address = ("127.0.0.1", Mosquitto.FreePort());
                    break;
                case "has a name that means nothing":
                    bad.Address = ("nothing.invalid", 80);
                    break;
                case "speaks no TLS":
                    bad._server = WireServer.Start(async wire =>
                    {
                        await wire.ReadSomeAsync();
                        await wire.SendAsync("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                    });
                    bad.Address = ("127.0.0.1", bad._server.Port);
                    bad.Extra = new { scheme = "https" };
                    break;
                case "does not accept":
                    await bad.FillAsync();
                    break;
            }

            return bad;
        }

        public async ValueTask DisposeAsync()
        {
            if (_server is not null)
                await _server.DisposeAsync();
            foreach (var held in _held)
                held.Dispose();
        }

        /// <summary>A listener that accepts nothing, and whose queue is full: the kernel leaves further connections unanswered.</summary>
        private async Task FillAsync()
        {
            var listener = Held(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen(0);
            Address = ("127.0.0.1", ((IPEndPoint)listener.LocalEndPoint!).Port);
            for (var i = 0; i < 16; i++)
            {
                var filling = Held(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
                using var late = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
                try
                {
                    await filling.ConnectAsync(listener.LocalEndPoint!, late.Token);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }

            throw new InvalidOperationException("the listener's queue does not fill up");
        }

        private Socket Held(Socket socket)
        {
            _held.Add(socket);
            return socket;
        }
    }
}
