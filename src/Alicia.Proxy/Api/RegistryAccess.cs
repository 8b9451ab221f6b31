using Alicia.Proxy.Circuit;
using Alicia.Proxy.Draining;
using Alicia.Proxy.Health;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Routing;

namespace Alicia.Proxy.Api;

/// <summary>What the API's endpoints work with. A change made through it is durable and in force on the data plane when it returns.</summary>
internal sealed class RegistryAccess(ServiceRegistry registry, SnapshotPublisher publisher, Departures departures, LiveTable lives, GateTable gates, HealthMonitor health, ProcessClock clock, TimeProvider time)
{
    public ServiceRegistry Registry { get; } = registry;

    public SnapshotPublisher Publisher { get; } = publisher;

    public LiveTable Lives { get; } = lives;

    public GateTable Gates { get; } = gates;

    public HealthMonitor Health { get; } = health;

    public ProcessClock Clock { get; } = clock;

    /// <summary>Submits a change and waits until requests are routed by it.</summary>
    public async Task<ChangeResult<T>> ChangeAsync<T>(IRegistryChange<T> change, CancellationToken cancellation)
    {
        var result = await Registry.SubmitAsync(change, cancellation);
        if (result.Accepted)
            await Publisher.AppliedAsync(result.Revision, cancellation);
        return result;
    }

    /// <summary>Notes that an instance has been heard of. One that has left in the meantime stays forgotten.</summary>
    public void RenewLease(Instance instance)
    {
        if (Lives.TryGet(instance.Epoch, out var live))
            live.RenewLease(time);
    }

    /// <summary>
    /// Waits until nothing is in flight to the given epochs or the time is over, also beyond their drain timeout. Those that are empty are waited for until they are struck off.
    /// </summary>
    /// <returns>Requests still in flight; 0 when all have left.</returns>
    public async Task<int> AwaitDepartureAsync(IReadOnlyCollection<long> epochs, TimeSpan wait, CancellationToken cancellation)
    {
        // The objects are taken now: once an instance is struck off the list nobody finds it by its epoch, whatever it still has in flight.
        var lives = epochs.Select(Lives.Read).ToArray();
        if (wait > TimeSpan.Zero && lives.Sum(l => l.InFlight) > 0)
        {
            try
            {
                await Task.WhenAll(epochs.Select(departures.IdleAsync)).WaitAsync(wait, time, cancellation);
            }
            catch (TimeoutException)
            {
                // The caller is told how many are left.
            }
        }

        var inFlight = lives.Sum(l => l.InFlight);
        if (inFlight == 0)
            await Task.WhenAll(epochs.Select(departures.GoneAsync)).WaitAsync(cancellation);
        return inFlight;
    }
}
