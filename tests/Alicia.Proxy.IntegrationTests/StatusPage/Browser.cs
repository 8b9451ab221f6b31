using Alicia.Proxy.IntegrationTests.Harness;
using Microsoft.Playwright;

namespace Alicia.Proxy.IntegrationTests.StatusPage;

/// <summary>Debian's Chromium, without a window, for the tests of a class.</summary>
public sealed class Browser : IAsyncLifetime
{
    private IPlaywright? _playwright;
    private IBrowser? _chromium;

    public async Task InitializeAsync()
    {
        // Without the package the tests are skipped, and there is nothing to start.
        if (MissingPackages.SkipReason(["chromium"]) is not null)
            return;
        Assertions.SetDefaultExpectTimeout((float)Deadlines.Wait.TotalMilliseconds);
        _playwright = await Playwright.CreateAsync();
        _chromium = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = "/usr/bin/chromium",
            Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
            Timeout = (float)Deadlines.Start.TotalMilliseconds,
        });
    }

    public async Task DisposeAsync()
    {
        if (_chromium is not null)
            await _chromium.DisposeAsync();
        _playwright?.Dispose();
    }

    /// <summary>Opens a proxy's status page as a visitor of its own: nothing stored, nothing cached.</summary>
    internal async Task<Visit> OpenAsync(ProxyProcess proxy, int width = 1400, int height = 900, bool dark = false, Func<IPage, Task>? before = null)
    {
        var context = await _chromium!.NewContextAsync(new BrowserNewContextOptions
        {
            BaseURL = proxy.ManagementAddress.ToString(),
            ViewportSize = new ViewportSize { Width = width, Height = height },
            ColorScheme = dark ? ColorScheme.Dark : ColorScheme.Light,
        });
        context.SetDefaultTimeout((float)Deadlines.Wait.TotalMilliseconds);
        var visit = new Visit(context, await context.NewPageAsync(), proxy.ManagementAddress);
        if (before is not null)
            await before(visit.Page);
        await visit.Page.GotoAsync("/");
        return visit;
    }
}

/// <summary>An open status page, and what went on behind it.</summary>
internal sealed class Visit : IAsyncDisposable
{
    /// <summary>Set by who wants to look: a directory for screenshots.</summary>
    private const string Screenshots = "ALICIA_TESTS_SCREENSHOTS";

    private readonly IBrowserContext _context;
    private readonly Uri _address;
    private readonly List<string> _faults = [];
    private readonly List<string> _elsewhere = [];

    public Visit(IBrowserContext context, IPage page, Uri address)
    {
        (_context, Page, _address) = (context, page, address);
        page.Console += (_, said) => Note(_faults, said.Type == "error", said.Text);
        page.PageError += (_, error) => Note(_faults, true, error);
        context.Request += (_, request) => Note(_elsewhere, new Uri(request.Url).Authority != address.Authority, request.Url);
    }

    public IPage Page { get; }

    /// <summary>Errors in the console, and scripts that failed.</summary>
    public IReadOnlyList<string> Faults => Copy(_faults);

    public ILocator Service(string name) => Page.Locator($"[data-service='{name}']");

    public ILocator Row(string instance) => Page.Locator($"[data-instance='{instance}']");

    public ILocator Cell(string instance, string name) => Row(instance).Locator($".{name}");

    public ILocator Button(string name) => Page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = name, Exact = true });

    /// <summary>Nothing went wrong in the browser but what the test provoked, and nobody else was asked for anything.</summary>
    public void ShouldBeClean(Func<string, bool>? provoked = null)
    {
        Faults.Where(fault => provoked?.Invoke(fault) != true).Should().BeEmpty();
        Copy(_elsewhere).Should().BeEmpty("the page asks {0} and nobody else", _address.Authority);
    }

    public async Task ShotAsync(string name, bool whole = true)
    {
        if (Environment.GetEnvironmentVariable(Screenshots) is { Length: > 0 } directory)
            await Page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(directory, name + ".png"), FullPage = whole });
    }

    public async ValueTask DisposeAsync() => await _context.DisposeAsync();

    private static void Note(List<string> list, bool noteworthy, string text)
    {
        lock (list)
        {
            if (noteworthy)
                list.Add(text);
        }
    }

    private static List<string> Copy(List<string> list)
    {
        lock (list)
            return [.. list];
    }
}
