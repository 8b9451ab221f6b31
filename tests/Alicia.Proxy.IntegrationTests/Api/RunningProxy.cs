using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Api;

/// <summary>One proxy and two backends for a class of tests that each use services of their own.</summary>
public sealed class RunningProxy : IAsyncLifetime
{
    private int _services;

    internal ProxyProcess Proxy { get; private set; } = null!;

    internal Backend A { get; private set; } = null!;

    internal Backend B { get; private set; } = null!;

    /// <summary>A name that no other test of the class has.</summary>
    internal string NewService() => $"service-{Interlocked.Increment(ref _services)}";

    public async Task InitializeAsync()
    {
        Proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory"] });
        A = await Backend.StartAsync("A");
        B = await Backend.StartAsync("B");
    }

    public async Task DisposeAsync()
    {
        foreach (var started in new IAsyncDisposable?[] { Proxy, A, B })
        {
            if (started is not null)
                await started.DisposeAsync();
        }
    }
}
