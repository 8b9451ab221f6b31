using System.Collections.Concurrent;
using System.Net;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>What a run of load came to.</summary>
/// <param name="Sent">Requests that were sent.</param>
/// <param name="ByBackend">Whole successful answers by the backend that gave them.</param>
/// <param name="ByStatus">Whole answers by status.</param>
/// <param name="Failures">What the other requests ended with; the first few.</param>
internal sealed record LoadReport(
    int Sent, IReadOnlyDictionary<string, int> ByBackend, IReadOnlyDictionary<int, int> ByStatus, IReadOnlyList<string> Failures)
{
    public int Answered => ByBackend.Values.Sum();
}

/// <summary>Clients that each send one request after the other, each on a connection of its own, until they are told to stop or have sent
/// their number.</summary>
internal sealed class Load
{
    private const int KeptFailures = 5;

    private readonly ConcurrentDictionary<string, int> _byBackend = new();
    private readonly ConcurrentDictionary<int, int> _byStatus = new();
    private readonly ConcurrentQueue<string> _failures = new();
    private readonly Task _clients;
    private volatile bool _stopping;
    private int _left;
    private int _sent;

    private Load(Uri address, int clients, int requests, Func<int, string> target)
    {
        _left = requests;
        _clients = Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(() => SendAsync(address, target))));
    }

    /// <summary>Requests sent so far.</summary>
    public int Sent => Volatile.Read(ref _sent);

    /// <param name="target">Path and query of the request with that number, from 0.</param>
    /// <param name="requests">How many in all; they stop there by themselves.</param>
    public static Load Start(Uri address, int clients, Func<int, string> target, int requests = 1_000_000) => new(address, clients, requests, target);

    /// <summary>Sends exactly <paramref name="requests"/>.</summary>
    public static Task<LoadReport> RunAsync(Uri address, int clients, int requests, Func<int, string> target) =>
        Start(address, clients, target, requests).EndAsync();

    /// <summary>Waits until <paramref name="count"/> more requests have been sent.</summary>
    public Task MoreAsync(int count)
    {
        var wanted = Sent + count;
        return Eventually.Until($"{count} more requests are sent", () => Sent >= wanted || _clients.IsCompleted);
    }

    /// <summary>Lets every client finish its request and adds up.</summary>
    public Task<LoadReport> StopAsync()
    {
        _stopping = true;
        return EndAsync();
    }

    private async Task<LoadReport> EndAsync()
    {
        await _clients;
        return new LoadReport(Sent, new SortedDictionary<string, int>(_byBackend), new SortedDictionary<int, int>(_byStatus), [.. _failures]);
    }

    private async Task SendAsync(Uri address, Func<int, string> target)
    {
        using var http = Clients.Create(address);
        while (!_stopping && Interlocked.Decrement(ref _left) >= 0)
        {
            var number = Interlocked.Increment(ref _sent) - 1;
            try
            {
                using var answer = await http.GetAsync(target(number));
                _byStatus.AddOrUpdate((int)answer.StatusCode, 1, (_, n) => n + 1);
                if (answer.StatusCode < HttpStatusCode.BadRequest)
                    _byBackend.AddOrUpdate(answer.Headers.GetValues("X-Backend").Single(), 1, (_, n) => n + 1);
                else
                    Keep($"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
            }
            catch (Exception fault) when (fault is HttpRequestException or IOException or OperationCanceledException)
            {
                Keep($"{fault.GetType().Name}: {fault.Message}");
            }
        }
    }

    private void Keep(string failure)
    {
        if (_failures.Count < KeptFailures)
            _failures.Enqueue(failure);
    }
}
