using System.Collections.Concurrent;
using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Names;

/// <summary>An instance registered by a name: all its addresses are used, and one that is dead costs no request.</summary>
[Trait("Depends", "forwarder")]
public sealed class NamedInstanceTests : NamedServers
{
    [NeedsOwnHostsFact("python3")]
    public async Task Every_address_of_a_name_takes_its_turn()
    {
        await StartAsync(One, Two, Three);

        var seen = await AskAsync(90);

        seen.Should().BeEquivalentTo(new Dictionary<string, int> { [One] = 30, [Two] = 30, [Three] = 30 });
    }

    [NeedsOwnHostsFact("python3")]
    public async Task Turns_stay_even_under_load()
    {
        await StartAsync(One, Two, Three);
        var seen = new ConcurrentDictionary<string, int>();

        await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ =>
        {
            foreach (var (address, count) in await AskAsync(100))
                seen.AddOrUpdate(address, count, (_, before) => before + count);
        }));

        seen.Values.Should().HaveCount(3).And.OnlyContain(n => n == 200);
    }

    [NeedsOwnHostsFact("python3")]
    public async Task A_name_that_never_resolved_is_a_dns_error_until_it_does()
    {
        await StartAsync(One);
        await RegisterAsync("late", "late.test");
        using (var answer = await Proxy.Http.GetAsync("/late/x"))
        {
            answer.StatusCode.Should().Be(HttpStatusCode.BadGateway);
            answer.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=dns_error");
        }

        Names($"{One} late.test");

        await Eventually.Until("it resolves", async () =>
        {
            using var answer = await Proxy.Http.GetAsync("/late/x");
            return answer.StatusCode == HttpStatusCode.OK;
        });
    }

    [NeedsOwnHostsFact("python3")]
    public async Task One_address_that_refuses_costs_no_request_and_is_used_again_when_it_is_back()
    {
        var server = await StartAsync(One, Two, Three);
        await CommandAsync(server, $"stop {Two}");

        var seen = await AskAsync(60);
        seen.Keys.Should().BeEquivalentTo(One, Three);

        await CommandAsync(server, $"start {Two}");
        await Eventually.Until("the second is used again", async () => (await AskAsync(6)).ContainsKey(Two), Renewal);
        (await FailuresAsync()).Should().Be(0);
    }

    [NeedsOwnHostsFact("python3")]
    public async Task One_address_that_swallows_connections_costs_time_but_no_request()
    {
        var server = await StartAsync(One, Two);
        using var patched = await Proxy.Registry.PatchServiceAsync("named", new { timeouts = new { connect = 2 } });
        patched.IsSuccessStatusCode.Should().BeTrue();
        await CommandAsync(server, $"stop {Two}");
        await CommandAsync(server, $"swallow {Two}");

        (await AskAsync(8)).Keys.Should().BeEquivalentTo(One);
        (await FailuresAsync()).Should().Be(0);
    }

    [NeedsOwnHostsFact("python3")]
    public async Task Localhost_works_where_only_one_family_listens()
    {
        var server = await StartAsync(One);
        Names("::1 localhost", $"{One} localhost");
        await RegisterAsync("local", "localhost", server.Port);

        for (var i = 0; i < 20; i++)
        {
            using var answer = await Proxy.Http.GetAsync("/local/x");
            (await answer.Content.ReadAsStringAsync()).Should().Be(One);
        }

        Names($"{One} localhost", "::1 localhost");
        await RegisterAsync("local2", "localhost", server.Port);
        for (var i = 0; i < 20; i++)
        {
            using var answer = await Proxy.Http.GetAsync("/local2/x");
            (await answer.Content.ReadAsStringAsync()).Should().Be(One);
        }
    }
}
