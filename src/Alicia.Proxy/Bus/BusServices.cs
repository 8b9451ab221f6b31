using Alicia.Proxy.Configuration;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Events;
using Alicia.Proxy.Health;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Routing;
using Alicia.Proxy.Security;

namespace Alicia.Proxy.Bus;

internal static class BusServices
{
    /// <summary>Adds the bus; it connects when configuration names a broker. Needs <see cref="ProxyFacts"/> and <see cref="SuspectInstance"/> from the host.</summary>
    public static IServiceCollection AddBus(this IServiceCollection services, MqttConfiguration configuration)
    {
        services.AddSingleton(configuration);
        services.AddSingleton(new Topics(configuration.Root));
        services.AddSingleton<BusCounters>().AddSingleton<InboundQueue>().AddSingleton<OutgoingQueue>().AddSingleton<RateLimitedLog>().AddSingleton<Announcements>();
        services.AddSingleton(s => new BusPublisher(
            s.GetRequiredService<Announcements>(), s.GetRequiredService<OutgoingQueue>(), s.GetRequiredService<ServiceRegistry>(), s.GetRequiredService<LiveTable>(),
            s.GetRequiredService<EventLog>(), s.GetRequiredService<TimeProvider>(), () => s.GetRequiredService<BusConnection>().Connected));
        services.AddSingleton(s => new BusConnection(
            configuration, s.GetRequiredService<Topics>(), s.GetRequiredService<InboundQueue>(), s.GetRequiredService<OutgoingQueue>(),
            s.GetRequiredService<BusCounters>(), s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<BusConnection>>())
        {
            Farewell = s.GetRequiredService<Announcements>().Offline,
            Greeting = s.GetRequiredService<BusPublisher>().Greeting,
        });
        services.AddSingleton(s =>
        {
            var (registry, audit, topics) = (s.GetRequiredService<ServiceRegistry>(), s.GetRequiredService<AuditLog>(), s.GetRequiredService<Topics>());
            return new Suspicions(
                s.GetRequiredService<SuspectInstance>(),
                async instance =>
                {
                    var (_, rejection, _) = await registry.SubmitAsync(new RemoveInstance(instance.ServiceName, instance.InstanceId, DepartureReason.ReportedGone, instance.Epoch), CancellationToken.None);
                    if (rejection is null)
                        audit.Bus(topics.Unregister, null, "done", $"instance {instance.InstanceId} of {instance.ServiceName} removed: its last will came, and its probe failed");
                },
                s.GetRequiredService<ILogger<Suspicions>>());
        });
        services.AddSingleton(s => new CommandDesk(
            s.GetRequiredService<ServiceRegistry>(),
            s.GetRequiredService<SnapshotPublisher>().AppliedAsync,
            (sender, payload) => s.GetRequiredService<OutgoingQueue>().Add(s.GetRequiredService<Announcements>().Result(sender, payload))));
        services.AddSingleton(s => new InboundHandling(
            s.GetRequiredService<Topics>(), configuration, s.GetRequiredService<ServiceRegistry>(), s.GetRequiredService<LiveTable>(),
            s.GetRequiredService<Suspicions>(), s.GetRequiredService<CommandDesk>(), s.GetRequiredService<AddressScreen>(), s.GetRequiredService<AuditLog>(), s.GetRequiredService<BusCounters>(), s.GetRequiredService<RateLimitedLog>(),
            s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<InboundHandling>>())
        {
            Asked = s.GetRequiredService<BusPublisher>().Asked,
            Renewed = instance => _ = s.GetRequiredService<HealthMonitor>().Renewed(instance),
        });
        return configuration.Host is null ? services : services.AddHostedService<BusService>();
    }
}
