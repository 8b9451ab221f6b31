using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Configuration;

namespace Alicia.Proxy.Routing;

/// <summary>
/// YARP's source of configuration. <see cref="ApplyAsync"/> hands YARP the next configuration and completes when YARP routes by it.
/// </summary>
internal sealed class SnapshotConfigProvider : IProxyConfigProvider, IConfigChangeListener, IDisposable
{
    private SnapshotConfig _config = new([RouteProjection.CatchAllRoute], [RouteProjection.PlaceholderCluster]);

    public IProxyConfig GetConfig() => _config;

    /// <summary>What YARP reads when it starts; no signal.</summary>
    public void Initialize(IReadOnlyList<RouteConfig> routes, IReadOnlyList<ClusterConfig> clusters) => _config = new SnapshotConfig(routes, clusters);

    /// <summary>Signals a change. YARP handles it on this thread, so call it from one background loop only.</summary>
    /// <exception cref="InvalidOperationException">YARP refused the configuration as a whole, and goes on with the old one.</exception>
    public async Task ApplyAsync(IReadOnlyList<RouteConfig> routes, IReadOnlyList<ClusterConfig> clusters)
    {
        var old = _config;
        var next = new SnapshotConfig(routes, clusters);
        _config = next;
        old.SignalChange();
        await next.Applied.Task;
        old.Dispose();
    }

    public void ConfigurationApplied(IReadOnlyList<IProxyConfig> proxyConfigs) => Find(proxyConfigs)?.Applied.TrySetResult();

    public void ConfigurationApplyingFailed(IReadOnlyList<IProxyConfig> proxyConfigs, Exception exception) =>
        Find(proxyConfigs)?.Applied.TrySetException(new InvalidOperationException("YARP refused the configuration.", exception));

    public void ConfigurationLoaded(IReadOnlyList<IProxyConfig> proxyConfigs)
    {
        // Of interest only once applied.
    }

    public void ConfigurationLoadingFailed(IProxyConfigProvider configProvider, Exception exception) => _config.Applied.TrySetException(exception);

    public void Dispose() => _config.Dispose();

    private static SnapshotConfig? Find(IReadOnlyList<IProxyConfig> configs) => configs.OfType<SnapshotConfig>().FirstOrDefault();

    private sealed class SnapshotConfig : IProxyConfig, IDisposable
    {
        private readonly CancellationTokenSource _changed = new();

        public SnapshotConfig(IReadOnlyList<RouteConfig> routes, IReadOnlyList<ClusterConfig> clusters)
        {
            Routes = routes;
            Clusters = clusters;
            ChangeToken = new CancellationChangeToken(_changed.Token);
        }

        public IReadOnlyList<RouteConfig> Routes { get; }

        public IReadOnlyList<ClusterConfig> Clusters { get; }

        public IChangeToken ChangeToken { get; }

        public TaskCompletionSource Applied { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void SignalChange() => _changed.Cancel();

        public void Dispose() => _changed.Dispose();
    }
}

/// <summary>The registry has validated every entry; YARP need not parse ten thousand addresses again at each change.</summary>
internal sealed class TrustingConfigValidator : IConfigValidator
{
    private static readonly ValueTask<IList<Exception>> NoErrors = new((IList<Exception>)[]);

    public ValueTask<IList<Exception>> ValidateRouteAsync(RouteConfig route) => NoErrors;

    public ValueTask<IList<Exception>> ValidateClusterAsync(ClusterConfig cluster) => NoErrors;
}
