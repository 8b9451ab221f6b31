using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Bus;
using MQTTnet;
using MQTTnet.Protocol;
using MQTTnet.Server;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// A broker inside the demo's process, so that a newcomer sees the bus without installing one, and a service that announces itself on it. For the demo alone: it lets
/// everybody on this machine in and keeps nothing.
/// </summary>
internal sealed class DemoBus : IAsyncDisposable
{
    private readonly MqttServer _broker;

    private DemoBus(MqttServer broker, int port) => (_broker, Port) = (broker, port);

    /// <summary>On the loopback address.</summary>
    public int Port { get; }

    /// <exception cref="StartException">No port could be had.</exception>
    public static async Task<DemoBus> StartAsync()
    {
        for (var attempt = 0; ; attempt++)
        {
            var port = FreePort();
            var options = new MqttServerOptionsBuilder()
                .WithDefaultEndpoint()
                .WithDefaultEndpointPort(port)
                .WithDefaultEndpointBoundIPAddress(IPAddress.Loopback)
                .WithDefaultEndpointBoundIPV6Address(IPAddress.None)
                .Build();
            var broker = new MqttServerFactory().CreateMqttServer(options);
            // Command-line clients leave their id to the broker. This one gives ids under MQTT 5 only, so the printed lines say -V 5.
            broker.ValidatingConnectionAsync += caller =>
            {
                if (string.IsNullOrEmpty(caller.ClientId))
                    caller.AssignedClientIdentifier = "guest_" + Guid.NewGuid().ToString("N");
                return Task.CompletedTask;
            };
            try
            {
                await broker.StartAsync();
                return new DemoBus(broker, port);
            }
            catch (SocketException) when (attempt < 5)
            {
                // Somebody took the port between our looking and the broker's binding.
                broker.Dispose();
            }
            catch (SocketException e)
            {
                broker.Dispose();
                throw new StartException(ExitCodes.Failure, $"The demo's broker cannot listen: {e.Message}.");
            }
        }
    }

    /// <summary>Says, as a service would, that there is an instance of it.</summary>
    public async Task AnnounceAsync(string service, string host, int port, CancellationToken cancellation)
    {
        using var client = new MqttClientFactory().CreateMqttClient();
        await client.ConnectAsync(new MqttClientOptionsBuilder().WithTcpServer("127.0.0.1", Port).WithClientId(service).Build(), cancellation);
        var payload = Envelope.Write(Guid.NewGuid().ToString(), "event", null, TimeProvider.System.GetUtcNow(), Envelope.DefaultTtl, json =>
        {
            json.WriteString("service_name", service);
            json.WriteString("status", "online");
            json.WriteString("host", host);
            json.WriteNumber("port", port);
        }, source: service);
        await client.PublishAsync(
            new MqttApplicationMessage
            {
                Topic = "alicia/system/discovery/register",
                PayloadSegment = payload,
                QualityOfServiceLevel = MqttQualityOfServiceLevel.AtLeastOnce,
            },
            cancellation);
        await client.DisconnectAsync(new MqttClientDisconnectOptions(), cancellation);
    }

    /// <summary>Lines to try it with.</summary>
    public string Lines(string service, string data, string instanceHost, int instancePort)
    {
        var port = Port.ToString(CultureInfo.InvariantCulture);
        var at = instancePort.ToString(CultureInfo.InvariantCulture);
        return $$"""
            The bus, an MQTT broker inside this demo; '{{service}}' announced itself on it:

              curl {{data}}/{{service}}/hello
              mosquitto_sub -V 5 -p {{port}} -t 'alicia/#' -v      # in a terminal of its own: everything that is said
              mosquitto_pub -V 5 -p {{port}} -t alicia/system/discovery/register -m '{"service_name": "mine", "host": "{{instanceHost}}", "port": {{at}}}'
              mosquitto_pub -V 5 -p {{port}} -t alicia/loadbalancer/command -m '{"message_id": "1", "command": "set_algorithm", "service_name": "demo", "algorithm": "random"}'
              mosquitto_pub -V 5 -p {{port}} -t alicia/system/health/check -n
              mosquitto_pub -V 5 -p {{port}} -t alicia/system/discovery/unregister -m '{"service_name": "mine"}'
            """;
    }

    public async ValueTask DisposeAsync()
    {
        await _broker.StopAsync(new MqttServerStopOptions());
        _broker.Dispose();
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}
