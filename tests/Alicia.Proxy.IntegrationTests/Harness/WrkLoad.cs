using System.Globalization;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>Debian's wrk with <c>numbered.lua</c>: a constant load, from a program that shares no code with the proxy, in which the fate of each request is known.</summary>
internal sealed class WrkLoad : IAsyncDisposable
{
    public const string Package = "wrk";

    private readonly ChildProcess _process;
    private readonly string _method;
    private readonly string _prefix;

    private WrkLoad(ChildProcess process, string method, string prefix) => (_process, _method, _prefix) = (process, method, prefix);

    /// <param name="target">Where to, with path.</param>
    /// <param name="prefix">Of the ids of its requests.</param>
    /// <param name="keep">Whether connections carry more than one request.</param>
    /// <param name="pause">Before each request of a connection.</param>
    public static WrkLoad Start(Uri target, string method, string prefix, bool keep, int connections, TimeSpan pause)
    {
        string[] arguments =
        [
            "-t1", string.Create(CultureInfo.InvariantCulture, $"-c{connections}"), "-d600s", "--timeout", "30s",
            "-s", Path.Combine(AppContext.BaseDirectory, "PeerScripts", "numbered.lua"), target.ToString(),
            "--", method, prefix, pause.TotalMilliseconds.ToString("0", CultureInfo.InvariantCulture), keep ? "keep" : "close",
        ];
        return new WrkLoad(ChildProcess.Start("wrk", arguments), method, prefix);
    }

    /// <summary>Ends the load.</summary>
    /// <returns>What became of each request; wrk must have met no broken connection.</returns>
    public async Task<IReadOnlyList<Fate>> StopAsync()
    {
        _process.Interrupt();
        (await _process.WaitForExitAsync()).Should().Be(0, _process.Transcript);
        var counts = _process.Output.Single(l => l.StartsWith("counts ", StringComparison.Ordinal)).Split(' ');
        counts[2..].Should().Equal(["0", "0", "0", "0"], "connections to the proxy are never refused or broken: connect, read, write, timeout");
        var bad = _process.Output.Select(l => l.Split(' ', 4)).Where(words => words[0] is "failed" or "open").ToDictionary(words => words[1]);
        return [.. Enumerable.Range(1, int.Parse(counts[1], CultureInfo.InvariantCulture)).Select(n => FateOf($"{_prefix}.{n}", bad))];
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private Fate FateOf(string id, Dictionary<string, string[]> bad)
    {
        if (!bad.TryGetValue(id, out var words))
            return new Fate(id, _method, 200, null);
        return words[0] == "open"
            ? new Fate(id, _method, Fate.Abandoned, null)
            : new Fate(id, _method, int.Parse(words[2], CultureInfo.InvariantCulture), ProxyStatus.ErrorOf(words[3]));
    }
}
