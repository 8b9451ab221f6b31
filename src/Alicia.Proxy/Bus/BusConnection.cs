using Alicia.Proxy.Configuration;
using MQTTnet;
using MQTTnet.Adapter;
using MQTTnet.Exceptions;
using MQTTnet.Formatter;
using MQTTnet.Protocol;

namespace Alicia.Proxy.Bus;

/// <summary>
/// Keeps one connection to the broker: connects, subscribes, says that the proxy is there, publishes what waits, and begins again when the connection is lost.
/// Nothing of the proxy waits for it, and nothing that the broker does or leaves undone reaches further than this loop.
/// </summary>
internal sealed partial class BusConnection(
    MqttConfiguration configuration, Topics topics, InboundQueue inbound, OutgoingQueue outgoing, BusCounters counters, TimeProvider time, ILogger<BusConnection> logger)
{
    /// <summary>How long a goodbye may take.</summary>
    private static readonly TimeSpan GoodbyePatience = TimeSpan.FromSeconds(2);

    /// <summary>A connection that lasted so long was a good one; the next failure begins with the shortest wait.</summary>
    private static readonly TimeSpan GoodConnection = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan LogPause = TimeSpan.FromMinutes(1);

    private const int MaxKindsOfFailure = 16;

    private readonly MqttClientFactory _clients = new();
    private readonly string _clientId = BrokerOptions.ClientId(configuration);
    private MqttProtocolVersion _version = MqttProtocolVersion.V500;
    private OutgoingMessage? _unsent;
    private uint _largest = uint.MaxValue;
    private readonly Dictionary<string, long> _loggedFailures = [];
    private volatile bool _connected;
    private long _connectedAt;

    /// <summary>True when configuration names a broker.</summary>
    public bool Configured { get; } = configuration.Host is not null;

    /// <summary>True while the broker has this proxy's subscriptions.</summary>
    public bool Connected => _connected;

    /// <summary>Makes the message that the broker sends when it loses the proxy, and that the proxy itself leaves with.</summary>
    public required Func<OutgoingMessage> Farewell { get; init; }

    /// <summary>Makes what is said first on each new connection.</summary>
    public required Func<IReadOnlyList<OutgoingMessage>> Greeting { get; init; }

    /// <summary>Connects, and connects again, until cancelled; then says goodbye.</summary>
    public async Task RunAsync(Random random, CancellationToken cancellation)
    {
        var backOff = new BackOff(random);
        while (!cancellation.IsCancellationRequested)
        {
            _connectedAt = 0;
            try
            {
                await ServeOneAsync(cancellation);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }
            catch (WrongVersionException) when (_version == MqttProtocolVersion.V500)
            {
                // At once, and not after a wait: the broker is there, it only speaks the older version.
                LogOlderVersion(logger);
                _version = MqttProtocolVersion.V311;
                continue;
            }
            catch (Exception e)
            {
                // Whatever it was, it is told and tried again: a bus that gives up is one that somebody has to restart. After a failure the newer version is tried again: the broker may have been replaced.
                _version = MqttProtocolVersion.V500;
                Report(e);
            }

            // Counted from the moment that it stood: a broker that takes connections and then says nothing is no good one, however long that takes.
            if (_connectedAt != 0 && time.GetElapsedTime(_connectedAt) >= GoodConnection)
                backOff.Reset();
            try
            {
                await Task.Delay(backOff.Next(), time, cancellation);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>One connection from beginning to end. Returns, or throws, when it is lost.</summary>
    private async Task ServeOneAsync(CancellationToken cancellation)
    {
        // Not disposed: the client's last event may come after this method is done, and a source without a timer holds nothing.
        var lost = new CancellationTokenSource();
        using var client = _clients.CreateMqttClient();
        client.DisconnectedAsync += async _ => await lost.CancelAsync();
        client.ApplicationMessageReceivedAsync += received =>
        {
            // The library's own reader calls this and waits for it: take the message and be gone.
            var message = received.ApplicationMessage;
            inbound.Offer(message.Topic, message.Payload, message.Retain);
            return Task.CompletedTask;
        };
        try
        {
            _largest = await ConnectAsync(client, cancellation);
            foreach (var item in (await client.SubscribeAsync(BrokerOptions.Subscription(topics), cancellation)).Items)
            {
                if ((int)item.ResultCode >= 0x80)
                    LogSubscriptionRefused(logger, item.TopicFilter.Topic, item.ResultCode);
            }

            _connected = true;
            _connectedAt = time.GetTimestamp();
            counters.CountConnect();
            LogConnected(logger, configuration.ToString(), _version == MqttProtocolVersion.V500 ? "5" : "3.1.1");
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, lost.Token);
            await PublishAsync(client, either.Token);
        }
        catch (OperationCanceledException) when (lost.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            throw new MqttCommunicationException("the connection was lost");
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested && client.IsConnected)
        {
            await SayGoodbyeAsync(client);
            throw;
        }
        finally
        {
            _connected = false;
        }
    }

    /// <returns>Bytes of the largest packet that the broker takes.</returns>
    /// <exception cref="WrongVersionException">The broker does not speak this version.</exception>
    /// <exception cref="RefusedException">The broker does not want this client.</exception>
    private async Task<uint> ConnectAsync(IMqttClient client, CancellationToken cancellation)
    {
        MqttClientConnectResult result;
        try
        {
            result = await client.ConnectAsync(BrokerOptions.Of(configuration, _clientId, _version, Farewell(), time), cancellation);
        }
        catch (MqttConnectingFailedException e) when (!cancellation.IsCancellationRequested && e.InnerException is not (MqttCommunicationTimedOutException or OperationCanceledException))
        {
            // Closed without a word in answer to the greeting: so do brokers that cannot read it.
            throw new WrongVersionException(Words(e));
        }
        catch (MqttProtocolViolationException e)
        {
            throw new WrongVersionException(e.Message);
        }

        // 1 is how a broker of MQTT 3 says it, in its own format.
        var code = result.ResultCode;
        if (code == MqttClientConnectResultCode.UnsupportedProtocolVersion || (int)code == 1)
            throw new WrongVersionException("the broker does not speak this version of MQTT");
        if (code != MqttClientConnectResultCode.Success)
            throw new RefusedException($"the broker refused: {code}");
        // The library says 0 for a broker that says nothing.
        return result.MaximumPacketSize is { } largest and > 0 ? largest : uint.MaxValue;
    }

    private async Task PublishAsync(IMqttClient client, CancellationToken cancellation)
    {
        foreach (var message in Greeting())
            await PublishAsync(client, message, cancellation);
        while (true)
        {
            // What a lost connection took along is the first on the next one. Once: it may be what the broker closed the connection for.
            var again = _unsent;
            _unsent = null;
            var message = again ?? await outgoing.TakeAsync(cancellation);
            try
            {
                await PublishAsync(client, message, cancellation);
            }
            catch when (again is null && message.QualityOfService != MqttQualityOfServiceLevel.AtMostOnce)
            {
                _unsent = message;
                throw;
            }
        }
    }

    private async Task PublishAsync(IMqttClient client, OutgoingMessage message, CancellationToken cancellation)
    {
        // 128 bytes are more than the packet has besides.
        if (message.Payload.Length + (3L * message.Topic.Length) + 128 > _largest)
        {
            counters.CountPublishFailure();
            LogTooLarge(logger, message.Topic, message.Payload.Length);
            return;
        }

        var result = await client.PublishAsync(
            new MqttApplicationMessage
            {
                Topic = message.Topic,
                PayloadSegment = message.Payload,
                QualityOfServiceLevel = message.QualityOfService,
                Retain = message.Retain,
            },
            cancellation);
        if (result.IsSuccess)
        {
            counters.CountPublished();
            return;
        }

        counters.CountPublishFailure();
        LogPublishRefused(logger, message.Topic, result.ReasonCode);
    }

    private async Task SayGoodbyeAsync(IMqttClient client)
    {
        using var patience = new CancellationTokenSource(GoodbyePatience, time);
        try
        {
            await PublishAsync(client, Farewell(), patience.Token);
            await client.DisconnectAsync(new MqttClientDisconnectOptions(), patience.Token);
        }
        catch (Exception e) when (e is MqttCommunicationException or OperationCanceledException or IOException)
        {
            LogGoodbyeFailed(logger, Words(e));
        }
    }

    /// <summary>Logs each kind of failure once a minute: a broker that is away fails in two or three words in turn.</summary>
    private void Report(Exception failure)
    {
        counters.CountConnectFailure();
        var words = Words(failure);
        var now = time.GetTimestamp();
        if (_loggedFailures.TryGetValue(words, out var at) && time.GetElapsedTime(at, now) < LogPause)
            return;
        if (_loggedFailures.Count >= MaxKindsOfFailure)
            _loggedFailures.Clear();
        _loggedFailures[words] = now;
        LogAway(logger, configuration.ToString(), words);
    }

    /// <summary>The innermost message is the one that names the cause.</summary>
    private static string Words(Exception failure)
    {
        while (failure.InnerException is { } inner)
            failure = inner;
        return failure.Message;
    }

    private sealed class WrongVersionException(string message) : Exception(message);

    private sealed class RefusedException(string message) : Exception(message);

    [LoggerMessage(LogLevel.Information, "Connected to the bus at {Broker} with MQTT {Version}")]
    private static partial void LogConnected(ILogger logger, string broker, string version);

    [LoggerMessage(LogLevel.Warning, "The bus at {Broker} is away ({Reason}); requests are served as before, and it is tried again")]
    private static partial void LogAway(ILogger logger, string broker, string reason);

    [LoggerMessage(LogLevel.Debug, "The broker did not take MQTT 5; trying 3.1.1")]
    private static partial void LogOlderVersion(ILogger logger);

    [LoggerMessage(LogLevel.Error, "The broker does not let the proxy subscribe to {Topic} ({Code}); what is said there is not heard")]
    private static partial void LogSubscriptionRefused(ILogger logger, string topic, MqttClientSubscribeResultCode code);

    [LoggerMessage(LogLevel.Debug, "The broker does not let the proxy publish to {Topic} ({Code})")]
    private static partial void LogPublishRefused(ILogger logger, string topic, MqttClientPublishReasonCode code);

    [LoggerMessage(LogLevel.Debug, "The broker takes no message as large as one for {Topic} ({Bytes} bytes)")]
    private static partial void LogTooLarge(ILogger logger, string topic, int bytes);

    [LoggerMessage(LogLevel.Debug, "The goodbye to the bus failed ({Reason})")]
    private static partial void LogGoodbyeFailed(ILogger logger, string reason);
}
