using Alicia.Proxy.Routing;

namespace Alicia.Proxy.Ejection;

internal static class EjectionServices
{
    /// <summary>Adds the loop that compares instances with their peers.</summary>
    public static IServiceCollection AddEjection(this IServiceCollection services) => services.AddHostedService(s =>
    {
        var publisher = s.GetRequiredService<SnapshotPublisher>();
        return new EjectionRounds(() => publisher.Table, s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<EjectionRounds>>());
    });
}
