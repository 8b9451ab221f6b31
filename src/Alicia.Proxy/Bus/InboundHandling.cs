using System.Threading.Channels;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Validation;
using Alicia.Proxy.Security;

namespace Alicia.Proxy.Bus;

/// <summary>
/// Lets received messages take effect, one after the other, through the same changes and rules as the REST API. Whatever goes wrong with one is counted, and told
/// once a minute per topic and reason; the next one is read all the same.
/// </summary>
internal sealed partial class InboundHandling(
    Topics topics, MqttConfiguration configuration, ServiceRegistry registry, LiveTable lives, Suspicions suspicions, CommandDesk commands, AddressScreen screen, AuditLog audit, BusCounters counters,
    RateLimitedLog limit, TimeProvider time, ILogger<InboundHandling> logger)
{
    /// <summary>Messages that are read in a row.</summary>
    private const int Stretch = 32;

    /// <summary>Called when somebody asks how the proxy is. Must not block.</summary>
    public required Action Asked { get; init; }

    /// <summary>Called with an instance that announced itself, new or not. Must not block.</summary>
    public required Action<Instance> Renewed { get; init; }

    /// <summary>Reads what the queue holds until cancelled.</summary>
    public async Task RunAsync(InboundQueue queue, CancellationToken cancellation)
    {
        while (await queue.WaitAsync(cancellation))
        {
            for (var taken = 1; !cancellation.IsCancellationRequested && queue.TryTake(out var raw); taken++)
            {
                await HandleAsync(raw, cancellation);
                // A request that is ready on this core does not wait for more than the one message; see BrokerStream.
                Thread.Yield();
                // A storm takes its turn with everything else in the pool.
                if (taken % Stretch == 0)
                    await Task.Yield();
            }
        }
    }

    /// <summary>Lets one message take effect.</summary>
    public async Task HandleAsync(RawMessage raw, CancellationToken cancellation)
    {
        InboundMessage.WithoutEffect? nothing;
        try
        {
            nothing = await TakeEffectAsync(InboundMessages.Read(topics, raw, time.GetUtcNow()), raw.Topic, cancellation);
        }
        catch (Exception e) when (e is ChannelClosedException || cancellation.IsCancellationRequested)
        {
            // The proxy is stopping.
            return;
        }
        catch (Exception e)
        {
            counters.Count(BusReason.Internal);
            if (limit.TryPass(raw.Topic, BusReason.Internal, out _))
                LogFailed(logger, Printable(raw.Topic), e);
            return;
        }

        if (nothing is null)
        {
            counters.CountProcessed();
            return;
        }

        counters.Count(nothing.Reason);
        if (!nothing.Reason.IsFault())
            counters.CountProcessed();
        else if (limit.TryPass(raw.Topic, nothing.Reason, out var suppressed))
            LogWithoutEffect(logger, Printable(raw.Topic), nothing.Reason.Name(), Printable(nothing.Detail), suppressed);
    }

    /// <returns>Why it had no effect, or null when it had.</returns>
    private async Task<InboundMessage.WithoutEffect?> TakeEffectAsync(InboundMessage message, string topic, CancellationToken cancellation)
    {
        switch (message)
        {
            case InboundMessage.Registration registration:
                return await RegisterAsync(registration, topic, cancellation);
            case InboundMessage.Unregistration unregistration:
                return await UnregisterAsync(unregistration, topic, cancellation);
            case InboundMessage.Evidence evidence:
                return Weigh(evidence);
            case InboundMessage.HealthQuestion:
                Asked();
                return null;
            case InboundMessage.Order order:
                var refusal = await commands.CarryOutAsync(order, cancellation);
                if (refusal is null)
                    audit.Bus(topic, order.From, "done", order.Command.Words);
                return refusal;
            case InboundMessage.WithoutEffect { Command: { } sender } refused:
                commands.Refuse(sender, refused);
                return refused;
            default:
                return (InboundMessage.WithoutEffect)message;
        }
    }

    private async Task<InboundMessage.WithoutEffect?> RegisterAsync(InboundMessage.Registration message, string topic, CancellationToken cancellation)
    {
        var request = message.Request;
        if (request is { Host: null, Port: null })
        {
            if (configuration.AddressOf(message.Service) is not { } address)
                return Nothing(BusReason.NoAddress, $"{message.Service} says no host and port, and neither Mqtt:Addresses nor Mqtt:AddressTemplate has them");
            request = request with { Host = address.Host, Port = address.Port, Scheme = request.Scheme ?? address.Scheme };
        }

        var change = new RegisterInstance(message.Service, request, RegistrationSource.Mqtt);
        // Announcements are repeated far more often than they say anything new: what changes nothing is seen here and does not trouble the writer.
        var snapshot = registry.Snapshot;
        var trial = new RegistryDraft(snapshot, time.GetUtcNow());
        var (registered, rejection) = change.Apply(trial);
        if (registered is not null && trial.Snapshot.Revision != snapshot.Revision)
        {
            // An address that is there already has had its look.
            if (registered.Created && await screen.FaultAsync(registered.Instance.Host, registered.Instance.Port, cancellation) is { } fault)
                return Nothing(BusReason.BadField, "host " + fault);
            (registered, rejection, _) = await registry.SubmitAsync(change, cancellation);
        }

        if (registered is null)
            return Refused(rejection!, serviceKnown: true);
        if (registered.Created)
            LogRegistered(logger, registered.Instance.InstanceId, message.Service, registered.Instance.Host, registered.Instance.Port);
        if (registered.Changed)
            audit.Bus(topic, message.From, "done", $"instance {registered.Instance.InstanceId} of {message.Service} {(registered.Created ? "registered" : "updated")} at {registered.Instance.Scheme}://{registered.Instance.Host}:{registered.Instance.Port}");
        suspicions.Clear(registered.Instance.Epoch);
        RenewLease(registered.Instance);
        Renewed(registered.Instance);
        return null;
    }

    private async Task<InboundMessage.WithoutEffect?> UnregisterAsync(InboundMessage.Unregistration message, string topic, CancellationToken cancellation)
    {
        if (Find(message.Service, message.InstanceId, out var service, out var instance) is { } unknown)
            return unknown;
        if (instance is null)
        {
            var own = FromBus(service);
            instance = own.Length == 1 ? own[0] : own.FirstOrDefault(i => i.InstanceId == IdWithoutWords(message.Service));
            if (instance is null)
                return own.Length == 0
                    ? Nothing(BusReason.UnknownInstance, $"{message.Service} registered no instance over the bus")
                    : Nothing(BusReason.AmbiguousInstance, $"{message.Service} registered {own.Length} instances over the bus; instance_id says which");
        }

        if (instance.Leaving)
            return null;
        if (message.Will)
            return suspicions.Begin(instance, "mqtt_will", removes: true) ? null : TooManySuspects();
        var (_, rejection, _) = await registry.SubmitAsync(new RemoveInstance(message.Service, instance.InstanceId, epoch: instance.Epoch), cancellation);
        if (rejection is not null)
            return Refused(rejection, serviceKnown: true);
        LogUnregistered(logger, instance.InstanceId, message.Service);
        audit.Bus(topic, message.From, "done", $"instance {instance.InstanceId} of {message.Service} removed");
        return null;
    }

    private InboundMessage.WithoutEffect? Weigh(InboundMessage.Evidence message)
    {
        if (Find(message.Service, message.InstanceId, out var service, out var instance) is { } unknown)
            return unknown;
        if (instance is null)
        {
            var own = FromBus(service);
            if (own.Length != 1)
                return Nothing(BusReason.UnclearEvidence, "names no instance");
            instance = own[0];
        }

        if (instance.Leaving)
            return null;
        if (!message.Healthy)
            return suspicions.Begin(instance, "mqtt_" + message.Status, removes: false) ? null : TooManySuspects();
        if (instance.Source == RegistrationSource.Mqtt)
            RenewLease(instance);
        return null;
    }

    /// <summary>Finds the service, and the instance when one is named.</summary>
    private InboundMessage.WithoutEffect? Find(string serviceName, string? instanceId, out Service service, out Instance? instance)
    {
        instance = null;
        if (!registry.Snapshot.TryGet(serviceName, out service!))
            return Nothing(BusReason.UnknownService, $"service '{serviceName}' is not registered");
        if (instanceId is null)
            return null;
        instance = service.Find(instanceId);
        return instance is null ? Nothing(BusReason.UnknownInstance, $"instance '{instanceId}' of '{serviceName}' is not registered") : null;
    }

    /// <summary>The instances that a service itself registered over the bus.</summary>
    private static Instance[] FromBus(Service service) => [.. service.Instances.Where(i => i is { Source: RegistrationSource.Mqtt, Leaving: false })];

    /// <summary>The id of an instance that registered without saying anything of itself.</summary>
    private string? IdWithoutWords(string service) => configuration.AddressOf(service) is { } address ? InstanceRules.DeriveId(address.Host, address.Port) : null;

    /// <summary>One that has left in the meantime, or is not routed to yet, has nothing to renew.</summary>
    private void RenewLease(Instance instance)
    {
        if (lives.TryGet(instance.Epoch, out var live))
            live.RenewLease(time);
    }

    private static InboundMessage.WithoutEffect TooManySuspects() => Nothing(BusReason.QueueFull, "too many instances are under suspicion");

    private static InboundMessage.WithoutEffect Nothing(BusReason reason, string detail) => new(reason, detail);

    private static InboundMessage.WithoutEffect Refused(Rejection rejection, bool serviceKnown) =>
        Nothing(CommandDesk.ReasonOf(rejection, serviceKnown), CommandDesk.Words(rejection));

    /// <summary>Strangers' text for a log line: short, and on one line.</summary>
    private static string Printable(string text) =>
        string.Create(Math.Min(text.Length, 240), text, static (span, t) =>
        {
            for (var i = 0; i < span.Length; i++)
                span[i] = char.IsControl(t[i]) || t[i] is '\u2028' or '\u2029' ? '?' : t[i];
        });

    [LoggerMessage(LogLevel.Warning, "A message on {Topic} has no effect ({Reason}): {Detail}; {Suppressed} more since the last such line")]
    private static partial void LogWithoutEffect(ILogger logger, string topic, string reason, string detail, long suppressed);

    [LoggerMessage(LogLevel.Error, "A message on {Topic} failed inside the proxy; it has no effect")]
    private static partial void LogFailed(ILogger logger, string topic, Exception error);

    [LoggerMessage(LogLevel.Information, "Instance {Instance} of {Service} registered over the bus at {Host}:{Port}")]
    private static partial void LogRegistered(ILogger logger, string instance, string service, string host, int port);

    [LoggerMessage(LogLevel.Information, "Instance {Instance} of {Service} unregistered over the bus")]
    private static partial void LogUnregistered(ILogger logger, string instance, string service);
}
