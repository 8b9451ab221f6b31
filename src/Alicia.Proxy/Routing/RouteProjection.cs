using System.Globalization;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Registry;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Health;

namespace Alicia.Proxy.Routing;

/// <summary>
/// Translates a registry snapshot into YARP's configuration: a cluster per service, a destination per instance in rotation, a route per declared route, and one
/// catch-all for everything that is routed by host or prefix. A pure function: the same snapshot gives the same configuration.
/// </summary>
/// <remarks>
/// Nothing that changes often is in a cluster's own settings, because YARP rebuilds every route when one changes: weights, caps and algorithms live in the
/// snapshot. Destinations are not such a setting.
/// </remarks>
internal static class RouteProjection
{
    /// <summary>Route and cluster of the catch-all. Not a valid service name, so it never meets one.</summary>
    public const string CatchAll = "*";

    /// <summary>Declared routes come first, the catch-all takes what is left.</summary>
    private const int DeclaredOrder = 0;
    private const int CatchAllOrder = 1;

    /// <summary>YARP answers 503 for a route without a cluster; this one has no destinations and is never forwarded to.</summary>
    public static readonly ClusterConfig PlaceholderCluster = new() { ClusterId = CatchAll };

    public static readonly RouteConfig CatchAllRoute = new()
    {
        RouteId = CatchAll,
        ClusterId = CatchAll,
        Order = CatchAllOrder,
        Match = new RouteMatch { Path = "/{**any}" },
    };

    private static readonly HealthCheckConfig AvailableDestinations = new() { AvailableDestinationsPolicy = HealthCheckConstants.AvailableDestinations.HealthyAndUnknown };

    /// <summary>The cluster of one service. Unchanged services keep their object, which is how YARP is spared comparing them.</summary>
    public static ClusterConfig Cluster(Service service)
    {
        var destinations = new Dictionary<string, DestinationConfig>(service.Instances.Length);
        foreach (var instance in service.Instances)
        {
            if (instance.InRotation)
                destinations[DestinationIds.Of(instance.Epoch)] = new DestinationConfig { Address = Address(instance) };
        }

        return new ClusterConfig { ClusterId = service.Name, HealthCheck = AvailableDestinations, Destinations = destinations };
    }

    /// <summary>The declared routes of all services, in name order, and the catch-all.</summary>
    public static IReadOnlyList<RouteConfig> Routes(RegistrySnapshot snapshot)
    {
        var routes = new List<RouteConfig> { CatchAllRoute };
        foreach (var service in snapshot.Services.Values.OrderBy(s => s.Name, StringComparer.Ordinal))
        {
            for (var i = 0; i < service.Routes.Length; i++)
                routes.Add(Declared(service.Name, i, service.Routes[i]));
        }

        return routes;
    }

    private static RouteConfig Declared(string service, int index, DeclaredRoute route) => new()
    {
        RouteId = string.Create(CultureInfo.InvariantCulture, $"{service}#{index}"),
        ClusterId = service,
        Order = DeclaredOrder,
        Match = new RouteMatch
        {
            Hosts = route.Hosts.IsEmpty ? null : [.. route.Hosts],
            Path = route.Path ?? "/{**any}",
        },
        Metadata = route.StripPrefix is null ? null : new Dictionary<string, string> { [DeclaredRouteMatch.StripPrefixKey] = route.StripPrefix },
    };

    private static string Address(Instance instance) =>
        string.Create(CultureInfo.InvariantCulture, $"{instance.Scheme}://{(instance.Host.Contains(':') ? $"[{instance.Host}]" : instance.Host)}:{instance.Port}/");
}
