using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.IntegrationTests.Harness;
using static Alicia.Proxy.IntegrationTests.Bus.BusProxy;

namespace Alicia.Proxy.IntegrationTests.Bus;

/// <summary>Brokers that are absent, refuse, hang or speak only the older version: requests are served all the same.</summary>
public sealed class BrokerTroubleTests
{
    [Fact]
    public async Task Without_a_broker_the_proxy_starts_serves_and_says_what_is_missing()
    {
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartAsync(Mosquitto.FreePort());
        await proxy.Registry.RegisterActiveAsync("tts", backend);

        await AnsweredAsync(proxy, "tts");
        var health = await proxy.Registry.GetJsonAsync("/health");
        (health.GetProperty("status").GetString(), health.GetProperty("mqtt_connected").GetBoolean()).Should().Be(("degraded", false));
        health.GetProperty("reasons")[0].GetString().Should().Contain("bus");
        using var ready = await proxy.Api.GetAsync("/health/ready");
        ready.StatusCode.Should().Be(HttpStatusCode.OK, "the proxy can serve");
        await proxy.LoggedAsync(line => line.Contains("is away", StringComparison.Ordinal));
        (await proxy.StopAsync()).Should().Be(0);
    }

    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task A_broker_that_refuses_is_told_of_once_and_tried_again()
    {
        await using var broker = await Mosquitto.StartAsync((_, port) => $"listener {port} 127.0.0.1\nallow_anonymous false");
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartAsync(broker.Port);
        await proxy.Registry.RegisterActiveAsync("tts", backend);

        await proxy.LoggedAsync(line => line.Contains("is away", StringComparison.Ordinal) && line.Contains("NotAuthorized", StringComparison.Ordinal));
        await Eventually.Until("a second try", () => broker.Process.Errors.Concat(broker.Process.Output).Count(l => l.Contains("not authorised", StringComparison.Ordinal)) >= 2);
        await AnsweredAsync(proxy, "tts");
        proxy.Process.Errors.Count(line => line.Contains("is away", StringComparison.Ordinal)).Should().Be(1);
    }

    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task A_broker_that_hangs_holds_up_nobody()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartConnectedAsync(broker.Port);
        await proxy.Registry.RegisterActiveAsync("tts", backend);

        broker.Process.Pause();
        try
        {
            for (var i = 0; i < 200; i++)
                await AnsweredAsync(proxy, "tts");
            await proxy.Registry.RegisterActiveAsync("stt", backend);
            (await proxy.StopAsync()).Should().Be(0, "a goodbye that nobody takes ends by itself");
        }
        finally
        {
            broker.Process.Resume();
        }
    }

    [Fact]
    public async Task A_broker_that_is_no_broker_holds_up_nobody()
    {
        using var stranger = new TcpListener(IPAddress.Loopback, 0);
        stranger.Start();
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartAsync(((IPEndPoint)stranger.LocalEndpoint).Port);
        await proxy.Registry.RegisterActiveAsync("tts", backend);
        // Both versions are tried, one after the other.
        for (var i = 0; i < 2; i++)
        {
            using var caller = await stranger.AcceptTcpClientAsync();
            await caller.GetStream().WriteAsync("HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray());
            await AnsweredAsync(proxy, "tts");
        }

        await proxy.LoggedAsync(line => line.Contains("is away", StringComparison.Ordinal));
        await AnsweredAsync(proxy, "tts");
    }

    [NeedsPackageTheory(Mosquitto.Package, Mosquitto.Clients)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_broker_of_the_older_version_is_spoken_to_in_it(bool saysSo)
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var older = new OlderBroker(broker.Port, saysSo);
        await using var proxy = await StartConnectedAsync(older.Port);

        (await proxy.LoggedAsync(line => line.Contains("with MQTT 3.1.1", StringComparison.Ordinal))).Should().ContainSingle();
        await using var backend = await Backend.StartAsync("a");
        await broker.PublishAsync(Register, Announcement("tts", backend));
        await UntilAnsweredAsync(proxy, "tts", 204);
    }

    /// <summary>Stands before a broker and turns MQTT 5 away, as brokers did that were written before it.</summary>
    private sealed class OlderBroker : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _accepting;

        public OlderBroker(int brokerPort, bool saysSo)
        {
            _listener.Start();
            _accepting = AcceptAsync(brokerPort, saysSo);
        }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            _listener.Stop();
            await _accepting;
            _stop.Dispose();
        }

        private async Task AcceptAsync(int brokerPort, bool saysSo)
        {
            var connections = new List<Task>();
            try
            {
                while (true)
                    connections.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token), brokerPort, saysSo));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException)
            {
                await Task.WhenAll(connections);
            }
        }

        private async Task ServeAsync(TcpClient caller, int brokerPort, bool saysSo)
        {
            using var owned = caller;
            try
            {
                var stream = caller.GetStream();
                var first = new byte[4096];
                var read = await stream.ReadAsync(first, _stop.Token);
                // Fixed header, remaining length of one or two bytes, then "MQTT" with its length, then the version.
                var name = first.AsSpan(0, read).IndexOf("MQTT"u8);
                if (name < 0 || first[name + 4] != 4)
                {
                    // CONNACK of MQTT 3: unacceptable protocol version.
                    if (saysSo)
                        await stream.WriteAsync(new byte[] { 0x20, 2, 0, 1 }, _stop.Token);
                    return;
                }

                using var broker = new TcpClient();
                await broker.ConnectAsync(IPAddress.Loopback, brokerPort, _stop.Token);
                await broker.GetStream().WriteAsync(first.AsMemory(0, read), _stop.Token);
                await Task.WhenAny(stream.CopyToAsync(broker.GetStream(), _stop.Token), broker.GetStream().CopyToAsync(stream, _stop.Token));
            }
            catch (Exception e) when (e is OperationCanceledException or IOException or SocketException)
            {
                // Either side has gone.
            }
        }
    }
}
