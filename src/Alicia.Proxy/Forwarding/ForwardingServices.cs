using System.Diagnostics;
using Alicia.Proxy.Routing;

namespace Alicia.Proxy.Forwarding;

internal static class ForwardingServices
{
    public static IServiceCollection AddForwarding(this IServiceCollection services)
    {
        // YARP passes trace headers on through this unless told otherwise; they go through untouched.
        services.AddSingleton(DistributedContextPropagator.CreatePassThroughPropagator());
        return services.AddHttpForwarder().AddSingleton<ForwardingOptions>().AddSingleton<OpenTunnels>().AddSingleton(new RequestIds(Random.Shared))
            .AddSingleton<UpgradeForwarder>().AddSingleton<AttemptForwarder>().AddSingleton<RequestForwarder>().AddSingleton<DataPlane>();
    }

    /// <summary>The data plane's pipeline: guard, YARP's routing, forwarding.</summary>
    public static void UseDataPlane(this IApplicationBuilder app)
    {
        var dataPlane = app.ApplicationServices.GetRequiredService<DataPlane>();
        app.Use(next => context => dataPlane.GuardAsync(context, next));
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
