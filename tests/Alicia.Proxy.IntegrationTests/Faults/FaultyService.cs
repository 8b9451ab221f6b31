using System.Globalization;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>
/// A proxy that neither probes nor opens circuits, so that a faulty instance goes on getting its turns, and a good instance beside which tests put one. Every arrival is written down.
/// </summary>
public sealed class FaultyService : IAsyncLifetime
{
    public const string Bad = "bad";
    public const string Good = "good";

    private int _services;

    internal Journal Journal { get; } = new();

    internal ProxyProcess Proxy { get; private set; } = null!;

    internal Backend Backend { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Backend = await Backend.StartAsync(Good, journal: Journal);
        Proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory"] });
    }

    public async Task DisposeAsync()
    {
        if (Proxy is not null)
            await Proxy.DisposeAsync();
        if (Backend is not null)
            await Backend.DisposeAsync();
        Journal.Dispose();
    }

    /// <summary>A service of its own for a test, with the good instance and bad ones.</summary>
    /// <param name="extra">Fields of the bad ones' registrations.</param>
    internal async Task<string> ServiceAsync(object settings, bool good, object? extra = null, params IReadOnlyList<(string Host, int Port)> bad)
    {
        var service = "s" + Interlocked.Increment(ref _services).ToString(CultureInfo.InvariantCulture);
        using (var put = await Proxy.Registry.PutServiceAsync(service, settings))
            await RegistryApi.DocumentOfAsync(put);
        for (var i = 0; i < bad.Count; i++)
        {
            using var registered = await Proxy.Registry.RegisterAsync(service, bad[i].Host, bad[i].Port, $"{Bad}-{i}", extra);
            await RegistryApi.DocumentOfAsync(registered);
        }

        if (good)
            await Proxy.Registry.RegisterActiveAsync(service, Backend);
        return service;
    }

    /// <summary>Four callers of all kinds, so many requests each.</summary>
    internal Task<Ledger> LoadAsync(string service, int each, string path = "echo") =>
        LedgerLoad.RunAsync(Proxy.Address, Caller.OfEachKind(1), $"/{service}/{path}", each, Journal);

    /// <summary>An instance that notes each request that it has read whole and then does as the script says; the end of the script closes the connection.</summary>
    internal WireServer Scripted(Func<Wire, WireMessage, Task<bool>> script) => WireServer.Start(async wire =>
    {
        while (await wire.ReadMessageAsync() is { } request)
        {
            Journal.Note(Bad, request);
            if (!await script(wire, request))
                return;
        }
    });
}
