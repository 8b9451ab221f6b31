using System.Globalization;
using System.Text.Json;
using Alicia.Proxy.Benchmarks.Load;

namespace Alicia.Proxy.Benchmarks.Processes;

/// <summary>The programs of a measurement and how they are started.</summary>
internal static class Programs
{
    private static readonly DirectoryInfo _output = new(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));

    /// <summary>
    /// Completions run on the thread that polls the sockets: fewer switches in what only sends and answers. For generator and backend, whatever the proxy
    /// is measured with.
    /// </summary>
    private static readonly KeyValuePair<string, string?>[] _lean = [new("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1")];

    public static string Dotnet { get; } = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") is { Length: > 0 } path ? path : "dotnet";

    /// <summary>The proxy as it was built with this program, in its own output directory: with its own dependencies and settings.</summary>
    public static string Proxy { get; } = Path.GetFullPath(
        $"../../../../../src/Alicia.Proxy/bin/{_output.Parent!.Name}/{_output.Name}/Alicia.Proxy.dll", _output.FullName);

    /// <summary>This program.</summary>
    public static string Self => Path.Combine(_output.FullName, "Alicia.Proxy.Benchmarks.dll");

    /// <summary>A program in PATH or where only root has one, or null.</summary>
    public static string? Find(string name) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries)
        .Concat(["/usr/sbin", "/usr/local/sbin"])
        .Select(d => Path.Combine(d, name))
        .FirstOrDefault(File.Exists);

    /// <summary>The lines <c>KEY=VALUE</c> of an environment file.</summary>
    public static IReadOnlyList<KeyValuePair<string, string?>> EnvironmentOf(string file) =>
        [.. Variables(File.ReadLines(file).Where(l => l.Contains('=') && !l.StartsWith('#')))];

    /// <summary>Texts of the form <c>KEY=VALUE</c> taken apart.</summary>
    public static IEnumerable<KeyValuePair<string, string?>> Variables(IEnumerable<string> lines) => lines.Select(l => l.Split('=', 2)).Select(p => new KeyValuePair<string, string?>(p[0], p[^1]));

    /// <param name="bytes">Length of each answer's body.</param>
    public static async Task<(ChildProcess Process, int Port)> StartBackendAsync(int bytes)
    {
        var backend = ChildProcess.Start(Dotnet, [Self, LoadBackend.Verb, "--bytes", bytes.ToString(CultureInfo.InvariantCulture)], _lean);
        return (backend, int.Parse(await backend.LineAsync(LoadBackend.Ready), CultureInfo.InvariantCulture));
    }

    public static ChildProcess StartGenerator() => ChildProcess.Start(Dotnet, [Self, LoadGenerator.Verb], _lean);

    /// <summary>Runs one order on a generator process.</summary>
    public static async Task<LoadResult> LoadAsync(this ChildProcess generator, LoadOrder order)
    {
        await generator.SendAsync(JsonSerializer.Serialize(order));
        var line = await generator.LineAsync("{", TimeSpan.FromSeconds(order.Seconds) + ChildProcess.Patience);
        return JsonSerializer.Deserialize<LoadResult>("{" + line)!;
    }
}
