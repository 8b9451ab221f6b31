using System.Diagnostics;
using Alicia.Proxy.Direct;
using Alicia.Proxy.Routing;

namespace Alicia.Proxy.Forwarding;

internal static class ForwardingServices
{
    /// <summary>Adds what forwards requests.</summary>
    /// <param name="services">The services.</param>
    /// <param name="direct">Whether HTTP/1.1 to clear-text instances goes by the direct forwarder.</param>
    public static IServiceCollection AddForwarding(this IServiceCollection services, bool direct)
    {
        // YARP passes trace headers on through this unless told otherwise; they go through untouched.
        services.AddSingleton(DistributedContextPropagator.CreatePassThroughPropagator());
        services.AddHttpForwarder();
        if (direct)
            services.AddDirectForwarding();
        return services.AddSingleton<ForwardingOptions>().AddSingleton<OpenTunnels>().AddSingleton(new RequestIds(Random.Shared))
            .AddSingleton<UpgradeForwarder>().AddSingleton<AttemptForwarder>().AddSingleton(s => ActivatorUtilities.CreateInstance<RequestForwarder>(s, Random.Shared)).AddSingleton<DataPlane>();
    }

    /// <summary>The data plane's pipeline: guard, YARP's routing where it has something to find, forwarding.</summary>
    public static void UseDataPlane(this IApplicationBuilder app)
    {
        var dataPlane = app.ApplicationServices.GetRequiredService<DataPlane>();
        app.Use(next => context => dataPlane.GuardAsync(context, next));
        app.Use(next => context => dataPlane.RouteAsync(context, next));
        app.UseRouting();
        app.UseEndpoints(endpoints => endpoints
            .MapReverseProxy(proxy => proxy.Run(dataPlane.ForwardAsync))
            .ConfigureEndpoints((endpoint, route) =>
            {
                if (route.RouteId != RouteProjection.CatchAll)
                    endpoint.WithMetadata(new DeclaredRouteMatch(route));
            }));
    }
}
