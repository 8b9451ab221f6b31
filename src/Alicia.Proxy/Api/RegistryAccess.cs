using Alicia.Proxy.Draining;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Routing;

namespace Alicia.Proxy.Api;

/// <summary>What the API's endpoints work with. A change made through it is durable and in force on the data plane when it returns.</summary>
internal sealed class RegistryAccess(ServiceRegistry registry, SnapshotPublisher publisher, Departures departures, LiveTable lives, ProcessClock clock, TimeProvider time)
{
    public ServiceRegistry Registry { get; } = registry;

    public SnapshotPublisher Publisher { get; } = publisher;

    public LiveTable Lives { get; } = lives;

    public ProcessClock Clock { get; } = clock;

    /// <summary>Submits a change and waits until requests are routed by it.</summary>
    public async Task<ChangeResult<T>> ChangeAsync<T>(IRegistryChange<T> change, CancellationToken cancellation)
    {
        var result = await Registry.SubmitAsync(change, cancellation);
        if (result.Accepted)
            await Publisher.AppliedAsync(result.Revision, cancellation);
        return result;
    }

    /// <summary>
    /// Waits until the given epochs have left or the time is over. Those with nothing in flight are waited for in any case: they are on their way out.
    /// </summary>
    /// <returns>Requests still in flight; 0 when all have left.</returns>
    public async Task<int> AwaitDepartureAsync(IReadOnlyCollection<long> epochs, TimeSpan wait, CancellationToken cancellation)
    {
        if (wait > TimeSpan.Zero && InFlight(epochs) > 0)
        {
            try
            {
                await Task.WhenAll(epochs.Select(departures.GoneAsync)).WaitAsync(wait, time, cancellation);
            }
            catch (TimeoutException)
            {
                // The caller is told how many are left.
            }
        }

        var inFlight = InFlight(epochs);
        if (inFlight == 0)
            await Task.WhenAll(epochs.Select(departures.GoneAsync)).WaitAsync(cancellation);
        return inFlight;
    }

    private int InFlight(IEnumerable<long> epochs) => epochs.Sum(e => Lives.TryGet(e, out var live) ? live.InFlight : 0);
}
