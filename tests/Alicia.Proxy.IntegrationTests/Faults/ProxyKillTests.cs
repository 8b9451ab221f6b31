using System.Collections.Concurrent;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>The proxy dies in the middle of registrations by many at once: what was acknowledged is there afterwards, what was not is there whole or not at all.</summary>
public sealed class ProxyKillTests(ITestOutputHelper output)
{
    private const int Rounds = 5;
    private const int Clients = 8;

    /// <summary>Ids of one client, over which it goes again and again: each is registered, changed and removed many times.</summary>
    private const int Ids = 6;

    [Fact]
    public async Task Killed_in_the_middle_of_registrations_nothing_acknowledged_is_lost()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { WaitForReady = false });
        var random = new Random(20260202);
        var known = new ConcurrentDictionary<string, Registered>();
        var (acknowledged, unanswered) = (0, 0);
        for (var round = 0; round < Rounds; round++)
        {
            var seeds = Enumerable.Range(0, Clients).Select(_ => random.Next()).ToArray();
            var before = acknowledged;
            var clients = Enumerable.Range(0, Clients).Select(client => Task.Run(async () =>
            {
                var own = new Random(seeds[client]);
                while (await ChangeAsync(proxy, own, client, known))
                    Interlocked.Increment(ref acknowledged);
                Interlocked.Increment(ref unanswered);
            })).ToArray();
            // Each round dies at another point of its commits.
            var wanted = before + 40 + random.Next(60);
            await Eventually.Until("changes have been acknowledged", () => Volatile.Read(ref acknowledged) >= wanted);

            await proxy.StopAsync(kill: true);
            await Task.WhenAll(clients);
            await proxy.StartAgainAsync();

            var found = await FoundAsync(proxy);
            foreach (var (id, registered) in known)
                registered.Allows(found.GetValueOrDefault(id)).Should().BeTrue("round {0}: {1} was {2} and is {3}", round, id, registered, found.GetValueOrDefault(id));
            found.Keys.Should().BeSubsetOf(known.Keys);
            // What is found is what is known from here on.
            foreach (var id in known.Keys)
                known[id] = new Registered(found.GetValueOrDefault(id), null, false);
        }

        output.WriteLine($"{acknowledged} changes acknowledged over {Rounds} kills, {unanswered} under way at one; none lost");
        acknowledged.Should().BeGreaterThan(Rounds * 40);
    }

    /// <summary>One change by one client, which waits for its answer.</summary>
    /// <returns>False when there was none: the proxy is dead.</returns>
    private static async Task<bool> ChangeAsync(ProxyProcess proxy, Random random, int client, ConcurrentDictionary<string, Registered> known)
    {
        var service = $"s{client % 3}";
        var id = $"c{client}-{random.Next(Ids)}";
        var key = $"{service}/{id}";
        var now = known.GetValueOrDefault(key, new Registered(null, null, false)).Now;
        // A number that says which change an instance is of.
        int? next = random.Next(4) == 0 ? null : random.Next(1, 1001);
        known[key] = new Registered(now, next, true);
        try
        {
            var status = next is { } weight
                ? await proxy.Registry.RegisterAsync(service, "127.0.0.1", 1000 + client, id, new { weight }).StatusAsync()
                : await proxy.Registry.DeleteInstanceAsync(service, id).StatusAsync();
            status.Should().Be(next is null ? (now is null ? 404 : 200) : now is null ? 201 : 200);
        }
        catch (HttpRequestException)
        {
            return false;
        }

        known[key] = new Registered(next, null, false);
        return true;
    }

    /// <returns>Service and id of each instance, with its weight.</returns>
    private static async Task<Dictionary<string, int?>> FoundAsync(ProxyProcess proxy)
    {
        var found = new Dictionary<string, int?>();
        var services = await proxy.Registry.GetJsonAsync("/services");
        foreach (var service in services.GetProperty("services").EnumerateObject())
        {
            foreach (var instance in service.Value.GetProperty("instances").EnumerateArray())
                found.Add($"{service.Name}/{instance.Text("instance_id")}", instance.Number("weight"));
        }

        return found;
    }

    /// <summary>What a client knows of an instance: its weight, or null for none.</summary>
    /// <param name="Now">As acknowledged last.</param>
    /// <param name="Next">As asked for last.</param>
    /// <param name="Asked">Whether that has not been answered.</param>
    private sealed record Registered(int? Now, int? Next, bool Asked)
    {
        public bool Allows(int? found) => found == Now || (Asked && found == Next);
    }
}
