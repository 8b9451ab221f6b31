using System.Diagnostics;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Names;

/// <summary>What a name means changes: the proxy notices within seconds, and a name that means nothing any more costs no request.</summary>
public sealed class RenewalTests : NamedServers
{
    [NeedsOwnHostsFact("python3")]
    public async Task An_address_that_leaves_the_name_gets_no_requests_and_a_new_one_gets_its_share()
    {
        await StartAsync(One, Two, Three);
        Names($"{One} peer.test", $"{Two} peer.test");
        await Eventually.Until("the third is left alone", async () => !(await AskAsync(6)).ContainsKey(Three), Renewal);
        (await AskAsync(60)).Should().BeEquivalentTo(new Dictionary<string, int> { [One] = 30, [Two] = 30 });

        Names($"{Three} peer.test");
        await Eventually.Until("only the third", async () => (await AskAsync(6)).Keys.SequenceEqual([Three]), Renewal);
        (await AskAsync(30)).Should().BeEquivalentTo(new Dictionary<string, int> { [Three] = 30 });
        (await FailuresAsync()).Should().Be(0);
    }

    [NeedsOwnHostsFact("python3")]
    public async Task A_name_that_stops_resolving_keeps_its_addresses_and_the_log_says_so_once()
    {
        await StartAsync(One, Two);
        (await AskAsync(2)).Should().HaveCount(2);
        Names("");
        string[] Said() => [.. Proxy.Output.Concat(Proxy.Process.Errors).Where(l => l.Contains("does not resolve any more", StringComparison.Ordinal))];

        await Eventually.Until("the log says so", async () => (await AskAsync(4)).Count == 2 && Said().Length > 0, Renewal);
        // A second failing look-up, ten seconds on, has nothing new to say.
        var since = Stopwatch.GetTimestamp();
        await Eventually.Until("another renewal", async () => (await AskAsync(4)).Count == 2 && Stopwatch.GetElapsedTime(since) > TimeSpan.FromSeconds(11), Renewal);
        Said().Should().ContainSingle().Which.Should().Contain("peer.test");

        Names($"{One} peer.test");
        await Eventually.Until("it resolves again", async () => (await AskAsync(4)).Count == 1, Renewal);
        (await FailuresAsync()).Should().Be(0);
    }
}
