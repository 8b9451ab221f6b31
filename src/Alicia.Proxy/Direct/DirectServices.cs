using Microsoft.Extensions.DependencyInjection.Extensions;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Direct;

internal static class DirectServices
{
    /// <summary>Puts the direct forwarder before the one that is registered.</summary>
    public static IServiceCollection AddDirectForwarding(this IServiceCollection services)
    {
        var yarp = services.Last(s => s.ServiceType == typeof(IHttpForwarder)).ImplementationType!;
        services.AddSingleton<ConnectionPools>();
        return services.Replace(ServiceDescriptor.Singleton<IHttpForwarder>(provider => new DirectForwarder(
            (IHttpForwarder)ActivatorUtilities.CreateInstance(provider, yarp), provider.GetRequiredService<ConnectionPools>(), provider.GetRequiredService<TimeProvider>())));
    }
}
