using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Yarp.ReverseProxy.Health;

namespace Alicia.Proxy.Health;

internal static class HealthServices
{
    /// <summary>
    /// Probes at once in all. Instances that hang hold one for their timeout each; with a hundred of them down at five seconds, the others still have their hundreds a second.
    /// </summary>
    private const int ProbesAtOnce = 512;

    /// <summary>Adds the watch over instances, in the place of YARP's own.</summary>
    /// <param name="services">The services.</param>
    /// <param name="removeAfter">How long an instance may be unhealthy before it is removed, as configured now.</param>
    public static IServiceCollection AddHealth(this IServiceCollection services, Func<IServiceProvider, TimeSpan> removeAfter)
    {
        services.AddSingleton<Prober>().AddSingleton<ProbeCounters>().AddSingleton<YarpHealth>().AddSingleton<LeaseBook>().AddSingleton<HealthMonitor>();
        services.AddSingleton(s => new ProbeSchedule(s.GetRequiredService<TimeProvider>(), new Random(), s.GetRequiredService<ILogger<ProbeSchedule>>(), ProbesAtOnce));
        services.AddSingleton<IActiveHealthCheckMonitor>(s => s.GetRequiredService<HealthMonitor>());
        return services.AddHostedService(s => new HealthRounds(s.GetRequiredService<HealthMonitor>(), s.GetRequiredService<LeaseBook>(), s.GetRequiredService<ServiceRegistry>(),
            s.GetRequiredService<LiveTable>(), () => removeAfter(s), s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<HealthRounds>>()));
    }
}
