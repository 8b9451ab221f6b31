using System.Collections.Concurrent;
using System.Globalization;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>One of the callers of a <see cref="LedgerLoad"/>.</summary>
/// <param name="Method">GET, or POST with a small body.</param>
/// <param name="Keep">Whether its connection carries more than one request.</param>
internal sealed record Caller(string Method, bool Keep)
{
    /// <summary>So many of each of the four kinds.</summary>
    public static IReadOnlyList<Caller> OfEachKind(int count) =>
        [.. Enumerable.Range(0, count).SelectMany(_ => new[] { new Caller("GET", true), new Caller("GET", false), new Caller("POST", true), new Caller("POST", false) })];
}

/// <summary>Callers that each send one request after the other, with an id in each, until they are told to stop.</summary>
internal sealed class LedgerLoad
{
    private static int _loads;

    private readonly ConcurrentQueue<Fate> _fates = new();
    private readonly int _load = Interlocked.Increment(ref _loads);
    private readonly Task _callers;
    private volatile bool _stopping;
    private int _numbers;

    private LedgerLoad(Uri address, IReadOnlyList<Caller> callers, string target, int each) =>
        _callers = Task.WhenAll(callers.Select(caller => Task.Run(() => SendAsync(address, caller, target, each))));

    /// <summary>Requests that are over.</summary>
    public int Over => _fates.Count;

    public static LedgerLoad Start(Uri address, IReadOnlyList<Caller> callers, string target) => new(address, callers, target, int.MaxValue);

    /// <summary>Lets each caller send so many.</summary>
    public static async Task<Ledger> RunAsync(Uri address, IReadOnlyList<Caller> callers, string target, int each, Journal journal)
    {
        var load = new LedgerLoad(address, callers, target, each);
        await load._callers;
        return new Ledger([.. load._fates], journal.Arrivals());
    }

    /// <summary>Waits until <paramref name="count"/> more requests are over.</summary>
    public Task MoreAsync(int count)
    {
        var wanted = Over + count;
        return Eventually.Until($"{count} more requests are over", () => Over >= wanted, TimeSpan.FromSeconds(60));
    }

    /// <summary>Lets every caller finish its request.</summary>
    public async Task<Ledger> StopAsync(Journal journal)
    {
        _stopping = true;
        await _callers;
        return new Ledger([.. _fates], journal.Arrivals());
    }

    private async Task SendAsync(Uri address, Caller caller, string target, int count)
    {
        using var http = Clients.Create(address);
        for (var sent = 0; sent < count && !_stopping; sent++)
        {
            var id = string.Create(CultureInfo.InvariantCulture, $"{_load}.{caller.Method}.{Interlocked.Increment(ref _numbers)}");
            using var request = new HttpRequestMessage(new HttpMethod(caller.Method), target) { Headers = { ConnectionClose = !caller.Keep } };
            request.Headers.Add("X-Request-Id", id);
            if (caller.Method == "POST")
                request.Content = new StringContent($"the body of {id}");
            try
            {
                using var answer = await http.SendAsync(request);
                _fates.Enqueue(new Fate(id, caller.Method, (int)answer.StatusCode, ProxyStatus.ErrorOf(answer)));
            }
            catch (Exception fault) when (fault is HttpRequestException or IOException or OperationCanceledException)
            {
                _fates.Enqueue(new Fate(id, caller.Method, Fate.NoAnswer, null));
            }
        }
    }
}
