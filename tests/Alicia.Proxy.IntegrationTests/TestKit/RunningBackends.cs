using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.TestKit;

/// <summary>One backend of each protocol, shared by the tests of a class that don't look at its counters.</summary>
public sealed class RunningBackends : IAsyncLifetime
{
    internal Backend Http1 { get; private set; } = null!;

    internal Backend H2c { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Http1 = await Backend.StartAsync("one");
        H2c = await Backend.StartAsync("two", h2c: true);
    }

    public async Task DisposeAsync()
    {
        if (Http1 is not null)
            await Http1.DisposeAsync();
        if (H2c is not null)
            await H2c.DisposeAsync();
    }

    internal Backend Of(string protocol) => protocol == "h2c" ? H2c : Http1;
}
