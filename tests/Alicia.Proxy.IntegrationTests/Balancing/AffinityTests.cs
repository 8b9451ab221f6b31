using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Balancing;

/// <summary>A cookie keeps a caller with one instance for as long as that can be used.</summary>
public sealed class AffinityTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private static readonly object _sticky = new { affinity = new { cookie = "sticky" } };

    [Fact]
    public async Task A_caller_stays_with_its_instance_while_others_go_round()
    {
        var service = await running.ServiceAsync(4, _sticky);
        var (first, cookie) = await SendAsync(service, null);
        cookie.Should().MatchRegex($"^sticky=[0-9a-f]{{32}}; Path=/{service}; HttpOnly; SameSite=Lax$");

        for (var i = 0; i < 10; i++)
        {
            (await SendAsync(service, cookie)).Should().Be((first, null), "who is where its cookie says gets no new one");
            await SendAsync(service, null);
        }

        var others = new HashSet<string>();
        for (var i = 0; i < 4; i++)
            others.Add((await SendAsync(service, null)).Backend);
        others.Should().HaveCount(4);
    }

    [Fact]
    public async Task A_cookie_that_was_made_up_or_is_another_services_chooses_nothing()
    {
        var service = await running.ServiceAsync(2, _sticky);
        var (_, foreign) = await SendAsync(service, null);
        var other = await running.ServiceAsync(2, _sticky);

        foreach (var cookie in (string[])[foreign!, "sticky=00000000000000000000000000000000", "sticky=a", "sticky=127.0.0.1:" + running.Backends[0].Port])
        {
            var seen = new HashSet<string>();
            for (var i = 0; i < 4; i++)
            {
                var (backend, renewed) = await SendAsync(other, cookie);
                seen.Add(backend);
                renewed.Should().NotBeNull("the caller gets a cookie that means something");
            }

            seen.Should().HaveCount(2, cookie);
        }
    }

    [Fact]
    public async Task When_its_instance_drains_or_is_out_the_caller_moves_and_gets_a_new_cookie()
    {
        var service = await running.ServiceAsync(3, _sticky);
        var (first, cookie) = await SendAsync(service, null);

        using (var drained = await running.Registry.PatchInstanceAsync(service, first, new { state = "draining" }))
            drained.IsSuccessStatusCode.Should().BeTrue();
        var (second, moved) = await SendAsync(service, cookie);
        second.Should().NotBe(first);
        moved.Should().NotBeNull().And.NotBe(cookie);
        (await SendAsync(service, moved)).Should().Be((second, null));

        using (var opened = await running.Registry.SetCircuitAsync(service, second, "open"))
            opened.IsSuccessStatusCode.Should().BeTrue();
        var (third, again) = await SendAsync(service, moved);
        third.Should().NotBe(first).And.NotBe(second);
        (await SendAsync(service, again)).Should().Be((third, null));

        using (var back = await running.Registry.PatchInstanceAsync(service, first, new { state = "active" }))
            back.IsSuccessStatusCode.Should().BeTrue();
        (await SendAsync(service, cookie)).Should().Be((first, null), "the old cookie means what it meant");
    }

    [Fact]
    public async Task A_full_instance_sends_its_callers_on()
    {
        var service = await running.ServiceAsync(2, new { affinity = new { cookie = "sticky" }, max_connections = 1 });
        var (first, cookie) = await SendAsync(service, null);
        using var holding = new HttpRequestMessage(HttpMethod.Get, $"/{service}/hold/gate");
        holding.Headers.TryAddWithoutValidation("Cookie", cookie!.Split(';')[0]);
        var held = running.Http.SendAsync(holding);
        var owner = running.Backends.Single(b => b.Name == first);
        await owner.UntilHeldAsync("gate", 1);

        var (second, moved) = await SendAsync(service, cookie);

        second.Should().NotBe(first);
        moved.Should().NotBeNull();
        await owner.ReleaseAsync("gate");
        using var answer = await held;
        answer.Headers.Contains("Set-Cookie").Should().BeFalse();
    }

    [NeedsPackageFact("curl")]
    public async Task Curl_with_a_cookie_jar_stays_where_it_is_also_over_a_restart_with_a_key()
    {
        var jar = Path.GetTempFileName();
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Affinity:Key=a-key-of-the-affinity-test", "--Defaults:Affinity:Cookie=sticky"] });
        try
        {
            foreach (var backend in running.Backends)
                await proxy.Registry.RegisterActiveAsync("web", backend);
            var before = await CurlAsync(jar, proxy.Address, 8);
            before.Distinct().Should().ContainSingle();
            await proxy.RestartAsync();
            (await CurlAsync(jar, proxy.Address, 4)).Distinct().Should().Equal(before[0]);
        }
        finally
        {
            File.Delete(jar);
        }
    }

    private static async Task<List<string>> CurlAsync(string jar, Uri proxy, int requests)
    {
        var backends = new List<string>();
        for (var i = 0; i < requests; i++)
        {
            // -q: not the user's own settings.
            await using var curl = ChildProcess.Start("curl", ["-q", "-sS", "--noproxy", "*", "--max-time", "30", "-b", jar, "-c", jar, new Uri(proxy, "/web/echo").ToString()]);
            (await curl.WaitForExitAsync(TimeSpan.FromSeconds(40))).Should().Be(0, curl.Transcript);
            backends.Add(JsonElement.Parse(string.Join('\n', curl.Output)).GetProperty("name").GetString()!);
        }

        return backends;
    }

    private async Task<(string Backend, string? SetCookie)> SendAsync(string service, string? cookie)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/{service}/status/204");
        if (cookie is not null)
            request.Headers.TryAddWithoutValidation("Cookie", cookie.Split(';')[0]);
        using var answer = await running.Http.SendAsync(request);
        answer.IsSuccessStatusCode.Should().BeTrue();
        return (answer.Headers.GetValues("X-Backend").Single(), answer.Headers.TryGetValues("Set-Cookie", out var set) ? set.Single() : null);
    }
}
