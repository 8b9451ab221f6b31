using System.Collections.Concurrent;
using System.Diagnostics;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>One request of a <see cref="TimedLoad"/>.</summary>
/// <param name="Start">When it was sent, as <see cref="Stopwatch.GetTimestamp"/>.</param>
/// <param name="Status">0 when there was no whole answer.</param>
/// <param name="Backend">Who answered; null when no backend did.</param>
/// <param name="Detail">Of a failure.</param>
internal sealed record TimedRequest(long Start, int Status, string? Backend, string? Detail)
{
    public bool Failed => Status is 0 or >= 400;
}

/// <summary>Clients that each send one request after the other until they are told to stop, and remember when each was sent: for what may fail before a moment and not after it.</summary>
internal sealed class TimedLoad
{
    private readonly ConcurrentQueue<TimedRequest> _requests = new();
    private readonly Task _clients;
    private volatile bool _stopping;

    private TimedLoad(Uri address, int clients, string target) =>
        _clients = Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(() => SendAsync(address, target))));

    public static TimedLoad Start(Uri address, int clients, string target) => new(address, clients, target);

    /// <summary>Waits until <paramref name="count"/> more requests are over.</summary>
    public Task MoreAsync(int count)
    {
        var wanted = _requests.Count + count;
        return Eventually.Until($"{count} more requests are over", () => _requests.Count >= wanted, TimeSpan.FromSeconds(60));
    }

    /// <summary>Lets every client finish its request.</summary>
    public async Task<IReadOnlyList<TimedRequest>> StopAsync()
    {
        _stopping = true;
        await _clients;
        return [.. _requests];
    }

    private async Task SendAsync(Uri address, string target)
    {
        using var http = Clients.Create(address);
        while (!_stopping)
        {
            var start = Stopwatch.GetTimestamp();
            try
            {
                using var answer = await http.GetAsync(target);
                var backend = answer.Headers.TryGetValues("X-Backend", out var names) ? names.Single() : null;
                var detail = answer.IsSuccessStatusCode ? null : await answer.Content.ReadAsStringAsync();
                _requests.Enqueue(new TimedRequest(start, (int)answer.StatusCode, backend, detail));
            }
            catch (Exception fault) when (fault is HttpRequestException or IOException or OperationCanceledException)
            {
                _requests.Enqueue(new TimedRequest(start, 0, null, $"{fault.GetType().Name}: {fault.Message}"));
            }
        }
    }
}
