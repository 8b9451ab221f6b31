using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Alicia.Proxy.IntegrationTests.StatusPage;

/// <summary>The status page as an operator has it before him: real Chromium, real proxy, instances that die and come back.</summary>
[Collection(HeavyTests.Name)]
public sealed partial class StatusPageTests(Browser browser) : IClassFixture<Browser>
{
    private const string Markup = "<img src=x onerror=alert(1)><b>bold</b>";

    private static readonly string[] FastProbes =
        ["--Registry:Store=memory", "--Defaults:HealthCheck:Interval=00:00:00.5", "--Defaults:HealthCheck:Timeout=00:00:00.5", "--Defaults:HealthCheck:Fast=00:00:00.2"];

    [NeedsPackageFact("chromium")]
    public async Task Rows_follow_an_instance_that_dies_comes_back_and_is_drained()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = FastProbes, Guards = true });
        await using var one = await Backend.StartAsync("one");
        await using var two = await Backend.StartAsync("two");
        await proxy.Registry.RegisterActiveAsync("web", one, extra: new { metadata = new { note = Markup }, ttl_seconds = 600 });
        await proxy.Registry.RegisterActiveAsync("web", two, extra: new { weight = 3 });
        await using var visit = await browser.OpenAsync(proxy);

        await Expect(visit.Page.Locator("#health")).ToHaveTextAsync("healthy");
        foreach (var id in new[] { "one", "two" })
        {
            await Expect(visit.Cell(id, "health")).ToHaveTextAsync("healthy");
            await Expect(visit.Cell(id, "state")).ToHaveTextAsync("active");
            await Expect(visit.Cell(id, "circuit")).ToHaveTextAsync("closed");
            await Expect(visit.Cell(id, "flight")).ToHaveTextAsync("0 / 100");
        }

        await Expect(visit.Service("web")).ToContainTextAsync("2 of 2 in service");
        await Expect(visit.Cell("two", "weight")).ToHaveTextAsync("3");
        await Expect(visit.Cell("one", "lease")).ToHaveTextAsync(new Regex(@"^\d+ min left$"));
        await Expect(visit.Cell("one", "id")).ToContainTextAsync("note=" + Markup);
        await Expect(visit.Page.Locator("#services img, #services b")).ToHaveCountAsync(0);
        await Expect(visit.Page.Locator("#stream")).ToHaveTextAsync("live");

        for (var i = 0; i < 20; i++)
            (await proxy.Http.GetAsync("/web/status/200").StatusAsync()).Should().Be(200);
        await Expect(visit.Cell("one", "share")).ToHaveTextAsync("50 % / 50 %");
        await Expect(visit.Cell("one", "response")).ToHaveTextAsync(new Regex("ms$"));
        await Expect(visit.Service("web").GetByRole(AriaRole.Img).First).ToHaveAttributeAsync("aria-label", new Regex(@"^requests/s in the last five minutes: now [\d.]*[1-9]"));

        var port = two.Port;
        two.Process.Kill();
        await Expect(visit.Cell("two", "health")).ToHaveTextAsync("unhealthy");
        await Expect(visit.Service("web")).ToContainTextAsync("1 of 2 in service");
        await Expect(visit.Row("two")).ToHaveClassAsync(new Regex(@"\bout\b"));
        await two.Process.WaitForExitAsync();
        await visit.ShotAsync("desktop-light");
        await using (var again = await Backend.StartAsync("two", port: port))
        {
            await Expect(visit.Cell("two", "health")).ToHaveTextAsync("healthy");
            // Good probes make the circuit half-open; the requests that it lets through close it.
            await Eventually.Until("requests have closed the circuit", async () =>
            {
                await proxy.Http.GetAsync("/web/status/200").StatusAsync();
                return (await proxy.Registry.InstanceAsync("web", "two")).GetProperty("circuit").Text("state") == "closed";
            });
            await Expect(visit.Cell("two", "circuit")).ToHaveTextAsync("closed");
            await Expect(visit.Service("web")).ToContainTextAsync("2 of 2 in service");

            await visit.Button("Open circuit two of web").ClickAsync();
            await visit.Page.Locator("#confirm-yes").ClickAsync();
            await Expect(visit.Cell("two", "circuit")).ToContainTextAsync("operator");
            await visit.Button("Drain one of web").ClickAsync();
            await Expect(visit.Page.GetByRole(AriaRole.Dialog)).ToContainTextAsync("only one in service");
            await visit.ShotAsync("desktop-confirm", whole: false);
            await visit.Page.Locator("#confirm-no").ClickAsync();
            await Expect(visit.Cell("one", "state")).ToHaveTextAsync("active");
            await visit.Button("Close circuit two of web").ClickAsync();
            await Expect(visit.Cell("two", "circuit")).ToHaveTextAsync("closed");

            await visit.Button("Drain one of web").ClickAsync();
            await visit.Page.Locator("#confirm-yes").ClickAsync();
            await Expect(visit.Cell("one", "state")).ToHaveTextAsync("draining");
            (await proxy.Registry.InstanceAsync("web", "one")).Text("state").Should().Be("draining");
            await Expect(visit.Page.Locator("#said")).ToHaveTextAsync("one of web is draining.");

            await again.ModeAsync(new BackendMode(Status: 503));
            await Eventually.Until("bad answers have opened the circuit", async () =>
            {
                await proxy.Http.GetAsync("/web/status/200").StatusAsync();
                return (await proxy.Registry.InstanceAsync("web", "two")).GetProperty("circuit").Text("state") == "open";
            });
            await Expect(visit.Cell("two", "circuit")).ToHaveTextAsync(CountdownPattern());
            var left = await CountdownAsync(visit);
            await Eventually.Until("the time to the next try gets shorter", async () => await CountdownAsync(visit) < left);
        }

        visit.ShouldBeClean();
    }

    [NeedsPackageFact("chromium")]
    public async Task Everything_can_be_done_with_the_keyboard()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory"] });
        await RegisterAsync(proxy, "web", "one");
        await using var visit = await browser.OpenAsync(proxy);
        await Expect(visit.Row("one")).ToBeVisibleAsync();
        var keyboard = visit.Page.Keyboard;

        var passed = new List<string>();
        for (var i = 0; i < 20 && passed.LastOrDefault() != "Drain one of web"; i++)
        {
            await keyboard.PressAsync("Tab");
            passed.Add(await visit.Page.EvaluateAsync<string>("(document.activeElement.getAttribute('aria-label') || document.activeElement.id || document.activeElement.textContent).trim()"));
            (await visit.Page.EvaluateAsync<string>("getComputedStyle(document.activeElement).outlineStyle")).Should().Be("solid", "who tabs must see where they are: {0}", passed[^1]);
        }

        passed.Should().Equal("Skip to services", "API", "filter", "trouble", "expand", "collapse", "web", "Drain one of web");
        await keyboard.PressAsync("Enter");
        await Expect(visit.Page.Locator("#confirm-no")).ToBeFocusedAsync();
        await keyboard.PressAsync("Escape");
        await Expect(visit.Button("Drain one of web")).ToBeFocusedAsync();
        await keyboard.PressAsync("Enter");
        await Expect(visit.Page.Locator("#confirm-no")).ToBeFocusedAsync();
        await keyboard.PressAsync("Tab");
        await Expect(visit.Page.Locator("#confirm-yes")).ToBeFocusedAsync();
        await keyboard.PressAsync("Enter");
        await Expect(visit.Cell("one", "state")).ToHaveTextAsync("draining");
        await Expect(visit.Button("Activate one of web")).ToBeFocusedAsync();
        await keyboard.PressAsync("Enter");
        await Expect(visit.Cell("one", "state")).ToHaveTextAsync("active");
        (await proxy.Registry.InstanceAsync("web", "one")).Text("state").Should().Be("active");
        visit.ShouldBeClean();
    }

    [NeedsPackageFact("chromium")]
    public async Task A_key_is_asked_for_and_the_buttons_are_those_that_it_allows()
    {
        const string Configuration = """
            { "Registry": { "Store": "memory" },
              "Services": { "web": { "Instances": [ { "InstanceId": "one", "Host": "127.0.0.1", "Port": 9 } ] } },
              "Management": { "ApiKeys": {
                "reader": { "Key": "reader-0123456789abcdef", "Scopes": ["read"] },
                "operator": { "Key": "operator-0123456789abcdef", "Scopes": ["read", "admin"] } } } }
            """;
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = Configuration });
        await using var visit = await browser.OpenAsync(proxy);
        var key = visit.Page.GetByLabel("API key");

        await Expect(key).ToBeFocusedAsync();
        await Expect(visit.Row("one")).ToHaveCountAsync(0);
        await key.FillAsync("wrong-0123456789abcdef");
        await key.PressAsync("Enter");
        await Expect(visit.Page.Locator("#sign-in-fault")).ToHaveTextAsync("The API key is not valid.");
        await visit.ShotAsync("sign-in");

        await key.FillAsync("reader-0123456789abcdef");
        await key.PressAsync("Enter");
        await Expect(visit.Cell("one", "state")).ToHaveTextAsync("active");
        await Expect(visit.Page.Locator("#who")).ToHaveTextAsync("reader (read)");
        await Expect(visit.Row("one").GetByRole(AriaRole.Button)).ToHaveCountAsync(0);
        (await visit.Page.EvaluateAsync<string>("document.cookie")).Should().BeEmpty("scripts cannot read it");

        await visit.Button("Sign out").ClickAsync();
        await Expect(key).ToBeFocusedAsync();
        await Expect(visit.Row("one")).ToHaveCountAsync(0);
        await key.FillAsync("operator-0123456789abcdef");
        await key.PressAsync("Enter");
        await visit.Button("Drain one of web").ClickAsync();
        await visit.Page.Locator("#confirm-yes").ClickAsync();
        await Expect(visit.Cell("one", "state")).ToHaveTextAsync("draining");

        await visit.Page.ReloadAsync();
        await Expect(visit.Cell("one", "state")).ToHaveTextAsync("draining");
        await proxy.WriteConfigAsync(Configuration.Replace(", \"admin\"", "", StringComparison.Ordinal));
        await Eventually.Until("the key has lost its scope", async () => await proxy.Api
            .SendJsonAsync("PATCH", "/services/web/one", "{}", ("Authorization", "Bearer operator-0123456789abcdef")).StatusAsync() == 403);
        await visit.Button("Activate one of web").ClickAsync();
        await Expect(visit.Page.GetByRole(AriaRole.Alert).And(visit.Page.Locator("#alert"))).ToContainTextAsync("does not have the scope admin");
        await visit.Button("Dismiss").ClickAsync();
        await Expect(visit.Page.Locator("#alert")).ToBeHiddenAsync();
        await visit.Page.EvaluateAsync("fetch('/session', { method: 'DELETE' })");
        await Expect(visit.Page.Locator("#sign-in-fault")).ToHaveTextAsync("Your session has ended.");
        visit.ShouldBeClean(fault => fault.Contains("status of 401", StringComparison.Ordinal) || fault.Contains("status of 403", StringComparison.Ordinal));
    }

    [NeedsPackageFact("chromium")]
    public async Task It_is_readable_on_a_small_phone_and_in_the_dark_and_no_name_becomes_markup()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory"] });
        await RegisterAsync(proxy, "web", "one", new { weight = 2, ttl_seconds = 90, metadata = new { zone = "kitchen" } });
        await RegisterAsync(proxy, "a-service-with-a-rather-long-name", new string('i', 128));
        await RegisterAsync(proxy, "web", "two", new { priority = 1 });
        using (await proxy.Registry.SetCircuitAsync("web", "two", "open"))
        {
        }

        await using (var phone = await browser.OpenAsync(proxy, 320, 640, dark: true))
        {
            await Expect(phone.Cell("two", "circuit")).ToContainTextAsync("operator");
            await Expect(phone.Button("Drain one of web")).ToBeVisibleAsync();
            (await phone.Page.EvaluateAsync<int>("document.documentElement.scrollWidth")).Should().BeLessThanOrEqualTo(320);
            await phone.ShotAsync("phone-dark");
            phone.ShouldBeClean();
        }

        await using (var dark = await browser.OpenAsync(proxy, dark: true))
        {
            await Expect(dark.Row("one")).ToBeVisibleAsync();
            (await Contrast.FaintAsync(dark)).Should().BeEmpty();
            (await Contrast.LuminanceAsync(dark)).Should().BeLessThan(0.05);
            await dark.ShotAsync("desktop-dark");
        }

        // Names that the API would refuse, as a registry of another proxy might hold them.
        await using var light = await browser.OpenAsync(proxy, before: page => page.RouteAsync(new Regex("/services(/web)?$"), async route =>
        {
            var answer = await route.FetchAsync();
            await route.FulfillAsync(new RouteFulfillOptions
            {
                Response = answer,
                Body = (await answer.TextAsync()).Replace("\"instance_id\":\"one\"", "\"instance_id\":" + JsonSerializer.Serialize(Markup), StringComparison.Ordinal),
            });
        }));
        await Expect(light.Service("web")).ToContainTextAsync(Markup);
        await Expect(light.Page.Locator("#services img, #services b")).ToHaveCountAsync(0);
        (await Contrast.FaintAsync(light)).Should().BeEmpty();
        (await Contrast.LuminanceAsync(light)).Should().BeGreaterThan(0.8);
        light.ShouldBeClean();
    }

    [NeedsPackageFact("chromium")]
    public async Task A_thousand_instances_stay_usable()
    {
        var services = Enumerable.Range(0, 100).Select(s => $$"""
            "svc-{{s:00}}": { "Instances": [ {{string.Join(", ", Enumerable.Range(0, 10).Select(i => $$"""{ "InstanceId": "i-{{s:00}}-{{i}}", "Host": "127.0.0.1", "Port": {{20000 + (s * 10) + i}} }"""))}} ] }
            """);
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = $$"""{ "Registry": { "Store": "memory" }, "Services": { {{string.Join(",", services)}} } }""" });
        await using var visit = await browser.OpenAsync(proxy);

        await Expect(visit.Page.Locator("#shown")).ToHaveTextAsync("100 services");
        await Expect(visit.Page.Locator("[data-instance]")).ToHaveCountAsync(0);
        await visit.ShotAsync("many", whole: false);
        using (await proxy.Registry.PatchInstanceAsync("svc-42", "i-42-7", new { state = "draining" }))
        {
        }

        await visit.Page.GetByLabel("only with trouble").CheckAsync();
        await Expect(visit.Page.Locator("#shown")).ToHaveTextAsync("1 of 100 services");
        await Expect(visit.Service("svc-42")).ToContainTextAsync("9 of 10 in service");
        await visit.Page.GetByLabel("only with trouble").UncheckAsync();
        await visit.Page.GetByLabel("Filter").FillAsync("i-07-3");
        await Expect(visit.Page.Locator("#shown")).ToHaveTextAsync("1 of 100 services");
        await visit.Button("svc-07").ClickAsync();
        await Expect(visit.Cell("i-07-3", "state")).ToHaveTextAsync("active");
        await visit.Page.GetByLabel("Filter").FillAsync("");
        await visit.Button("Expand all").ClickAsync();
        await Expect(visit.Page.Locator("[data-instance]")).ToHaveCountAsync(1000);
        var frame = await visit.Page.EvaluateAsync<double>("new Promise(done => { const from = performance.now(); requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - from))); })");
        frame.Should().BeLessThan(2000, "with everything unfolded the page still draws");
        visit.ShouldBeClean();
    }

    /// <summary>Seconds until the circuit of <c>two</c> may be tried, as the page says.</summary>
    private static async Task<int> CountdownAsync(Visit visit) =>
        int.Parse(CountdownPattern().Match(await visit.Cell("two", "circuit").InnerTextAsync()).Groups[1].Value, CultureInfo.InvariantCulture);

    /// <summary>An instance that nobody needs to answer for: its proxy does not probe.</summary>
    private static async Task RegisterAsync(ProxyProcess proxy, string service, string id, object? extra = null)
    {
        using var answer = await proxy.Registry.RegisterAsync(service, "127.0.0.1", 9, id, extra);
        await RegistryApi.DocumentOfAsync(answer);
    }

    [GeneratedRegex(@"failure statuses, retry in (\d+) s$")]
    private static partial Regex CountdownPattern();
}
