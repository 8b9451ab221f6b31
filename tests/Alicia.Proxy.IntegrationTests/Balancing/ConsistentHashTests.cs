using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Balancing;

/// <summary>Requests of one key meet one instance, also over the loss and the return of others.</summary>
public sealed class ConsistentHashTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private const int Users = 60;

    [Fact]
    public async Task Users_stay_where_they_are_when_an_instance_leaves_and_those_of_it_return_with_it()
    {
        var service = await running.ServiceAsync(4, new { algorithm = "consistent_hash", hash = new { by = "field", name = "X-User" } });
        var before = await OwnersAsync(service, "X-User", "user-");
        (await OwnersAsync(service, "X-User", "user-")).Should().Equal(before);
        before.Distinct().Should().HaveCount(4, "60 users are spread over all");

        using (var gone = await running.Registry.DeleteInstanceAsync(service, "b", wait: 10))
            gone.IsSuccessStatusCode.Should().BeTrue();
        var without = await OwnersAsync(service, "X-User", "user-");
        Enumerable.Range(0, Users).Where(u => before[u] != "b").Should().OnlyContain(u => without[u] == before[u], "only the users of the lost instance move");
        without.Should().NotContain("b");

        await running.Registry.RegisterActiveAsync(service, running.Backends[1]);
        (await OwnersAsync(service, "X-User", "user-")).Should().Equal(before, "an instance has its keys by its name, whatever epoch it is in");
    }

    [Fact]
    public async Task Cookies_and_paths_keep_requests_together_too_and_requests_without_a_key_go_round()
    {
        var service = await running.ServiceAsync(4, new { algorithm = "consistent_hash", hash = new { by = "cookie", name = "session" } });
        var byCookie = await OwnersAsync(service, "Cookie", "theme=dark; session=");
        (await OwnersAsync(service, "Cookie", "session=")).Should().Equal(byCookie, "other cookies do not matter");
        var without = new List<string>();
        for (var i = 0; i < 8; i++)
            without.Add(await running.BackendOfAsync(service));
        without.GroupBy(b => b).Should().HaveCount(4).And.OnlyContain(g => g.Count() == 2);

        using (var patched = await running.Registry.PatchServiceAsync(service, new { hash = new { by = "path" } }))
            await RegistryApi.DocumentOfAsync(patched);
        for (var i = 0; i < 10; i++)
        {
            var owner = await running.BackendOfAsync(service, $"echo/{i}");
            for (var again = 0; again < 3; again++)
                (await running.BackendOfAsync(service, $"echo/{i}?n={again}")).Should().Be(owner, "the query does not count");
        }
    }

    [Fact]
    public async Task One_callers_requests_spread_when_they_come_all_at_once()
    {
        var service = await running.ServiceAsync(4, new { algorithm = "consistent_hash", hash = new { bound_percent = 125 } });
        var owner = await running.BackendOfAsync(service);
        for (var i = 0; i < 10; i++)
            (await running.BackendOfAsync(service)).Should().Be(owner, "all come from one address");

        var held = new List<Task<HttpResponseMessage>>();
        for (var i = 1; i <= 16; i++)
        {
            held.Add(running.Http.GetAsync($"/{service}/hold/gate"));
            await Eventually.Until($"{i} requests are held", HeldAsync, counts => counts.Sum() == i);
        }

        (await HeldAsync()).Should().OnlyContain(count => count >= 1 && count <= 5, "125 % of a fourth of 16 is 5");
        foreach (var backend in running.Backends)
            await backend.ReleaseAsync("gate");
        foreach (var answer in await Task.WhenAll(held))
            using (answer)
                answer.IsSuccessStatusCode.Should().BeTrue();
    }

    [Fact]
    public async Task A_key_by_a_name_that_is_missing_is_refused_with_the_field()
    {
        var service = await running.ServiceAsync(1);
        using var refused = await running.Registry.PatchServiceAsync(service, new { algorithm = "consistent_hash", hash = new { by = "cookie" } });
        ((int)refused.StatusCode).Should().Be(400);
        (await refused.Content.ReadAsStringAsync()).Should().Contain("hash.name");
    }

    private async Task<int[]> HeldAsync() => [.. (await Task.WhenAll(running.Backends.Select(b => b.StatsAsync()))).Select(stats => stats.Held.GetValueOrDefault("gate"))];

    private async Task<List<string>> OwnersAsync(string service, string field, string prefix)
    {
        var owners = new List<string>();
        for (var user = 0; user < Users; user++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/{service}/status/204");
            request.Headers.TryAddWithoutValidation(field, prefix + user);
            using var answer = await running.Http.SendAsync(request);
            owners.Add(answer.Headers.GetValues("X-Backend").Single());
        }

        return owners;
    }
}
