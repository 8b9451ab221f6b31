using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Connections;

/// <summary>
/// Keeps the addresses of instances that are registered by name up to date. The first request waits for the look-up, later ones trigger a
/// refresh and go on with what is known; a name that stops resolving keeps its last addresses and says so once.
/// </summary>
internal sealed partial class NameResolver(ServiceRegistry registry, TimeProvider time, ILogger<NameResolver> logger)
{
    /// <summary>
    /// How old a look-up may be before the next request refreshes it. The system's resolver does not hand on a record's time to live; ten seconds is
    /// what container DNS servers usually say, and one look-up in ten seconds per busy name is nothing to them.
    /// </summary>
    public static readonly TimeSpan MaxAge = TimeSpan.FromSeconds(10);

    /// <summary>How long a failed first look-up answers for the next: long enough that a busy service does not flood the name server, short enough that nobody notices.</summary>
    private static readonly TimeSpan FailureMemory = TimeSpan.FromSeconds(1);

    private long _failures;

    /// <summary>Look-ups that failed since start.</summary>
    public long Failures => Volatile.Read(ref _failures);

    /// <summary>True when the endpoint's addresses are due for a refresh. Never for an IP literal.</summary>
    public bool IsDue(UpstreamEndpoint endpoint) => !endpoint.IsLiteral && time.GetElapsedTime(endpoint.ResolvedAt) > MaxAge;

    /// <summary>Refreshes in the background; at most one look-up per endpoint at a time.</summary>
    public void Refresh(UpstreamEndpoint endpoint)
    {
        if (endpoint.TryBeginLookUp())
            _ = RefreshAsync(endpoint);
    }

    /// <summary>Resolves a name that has no addresses yet. All requests that wait for the same name share one look-up, and for a moment its failure.</summary>
    /// <exception cref="UpstreamConnectException">The name does not resolve, or not within the connect timeout.</exception>
    /// <param name="endpoint">Whose name.</param>
    /// <param name="left">What is left of the request's overall time; null where there is no such limit.</param>
    /// <param name="cancellation">Ends the wait, not the look-up.</param>
    public async Task<AddressSlot> FirstAsync(UpstreamEndpoint endpoint, TimeSpan? left, CancellationToken cancellation)
    {
        var patience = left < endpoint.ConnectTimeout ? left.Value : endpoint.ConnectTimeout;
        try
        {
            var lookUp = endpoint.FirstLookUp(() => LookUpFirstAsync(endpoint), failed => time.GetElapsedTime(failed.ResolvedAt) < FailureMemory);
            await lookUp.WaitAsync(patience, time, cancellation);
            return endpoint.NextSlot()!;
        }
        catch (TimeoutException e)
        {
            Interlocked.Increment(ref _failures);
            throw new UpstreamConnectException(ConnectFailure.DnsTimeout, $"The name '{endpoint.Host}' did not resolve within {patience}.", e);
        }
        catch (SocketException e)
        {
            Interlocked.Increment(ref _failures);
            throw new UpstreamConnectException(ConnectFailure.DnsError, $"The name '{endpoint.Host}' does not resolve.", e);
        }
    }

    private async Task LookUpFirstAsync(UpstreamEndpoint endpoint)
    {
        try
        {
            endpoint.Use(Usable(endpoint, await LookUpAsync(endpoint.Host, CancellationToken.None)));
        }
        finally
        {
            endpoint.ResolvedAt = time.GetTimestamp();
        }
    }

    private async Task RefreshAsync(UpstreamEndpoint endpoint)
    {
        try
        {
            var addresses = await LookUpAsync(endpoint.Host, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30), time);
            endpoint.Use(Usable(endpoint, addresses));
            if (endpoint.IsStale)
                LogResolvesAgain(logger, endpoint.Host, endpoint.InstanceId);
            endpoint.IsStale = false;
        }
        catch (Exception e) when (e is SocketException or TimeoutException)
        {
            Interlocked.Increment(ref _failures);
            if (!endpoint.IsStale)
                LogStale(logger, endpoint.Host, endpoint.InstanceId, endpoint.Slots.Length, e);
            endpoint.IsStale = true;
        }
        finally
        {
            endpoint.ResolvedAt = time.GetTimestamp();
            endpoint.EndLookUp();
        }
    }

    /// <summary>
    /// Leaves out the addresses where no instance may be, which many names have beside the one that is meant. When none is left, all stay, so that connecting says what is wrong.
    /// </summary>
    private IPAddress[] Usable(UpstreamEndpoint endpoint, IPAddress[] addresses)
    {
        var rules = registry.Snapshot.Rules;
        IPAddress[] allowed = [.. addresses.Where(a => rules.Allows(a, endpoint.Port))];
        return allowed.Length > 0 ? allowed : addresses;
    }

    private static async Task<IPAddress[]> LookUpAsync(string host, CancellationToken cancellation)
    {
        var addresses = await Dns.GetHostAddressesAsync(host, cancellation);
        return addresses.Length > 0 ? addresses : throw new SocketException((int)SocketError.NoData);
    }

    [LoggerMessage(LogLevel.Warning, "The name {Host} of instance {Instance} does not resolve any more; its last {Count} addresses stay in use")]
    private static partial void LogStale(ILogger logger, string host, string instance, int count, Exception error);

    [LoggerMessage(LogLevel.Information, "The name {Host} of instance {Instance} resolves again")]
    private static partial void LogResolvesAgain(ILogger logger, string host, string instance);
}
