using System.Globalization;
using System.Text.Json;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>A server or client in Python, of the scripts in <c>PeerScripts</c>: peers that share no code with the proxy.</summary>
internal sealed class PythonPeer : IAsyncDisposable
{
    /// <summary>Debian's; its packages are not in any other that may be in PATH.</summary>
    public const string Interpreter = "/usr/bin/python3";

    private const string Ready = "listening ";

    private PythonPeer(ChildProcess process, int port) => (Process, Port) = (process, port);

    public ChildProcess Process { get; }

    public int Port { get; }

    /// <summary>Starts a server and waits until it listens on the port that it prints.</summary>
    public static async Task<PythonPeer> ServeAsync(string script, params string[] arguments)
    {
        var process = Start(script, arguments);
        try
        {
            var line = await process.WaitForLineAsync(l => l.StartsWith(Ready, StringComparison.Ordinal));
            return new PythonPeer(process, int.Parse(line[Ready.Length..], CultureInfo.InvariantCulture));
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a client to its end.</summary>
    /// <returns>The JSON of its last line.</returns>
    /// <exception cref="InvalidOperationException">It failed; the message holds its output.</exception>
    public static async Task<JsonElement> RunAsync(string script, params string[] arguments)
    {
        await using var process = Start(script, arguments);
        return await ResultAsync(process);
    }

    /// <summary>Starts a client that says something before it ends.</summary>
    public static ChildProcess Start(string script, params string[] arguments) => ChildProcess.Start(
        Interpreter, [Path.Combine(AppContext.BaseDirectory, "PeerScripts", script), .. arguments], environment: new Dictionary<string, string?>
        {
            ["PYTHONUNBUFFERED"] = "1",
            ["PYTHONDONTWRITEBYTECODE"] = "1",
            // Proxies of the machine are none of these tests' business.
            ["http_proxy"] = null,
            ["https_proxy"] = null,
            ["no_proxy"] = "*",
        });

    /// <inheritdoc cref="RunAsync"/>
    public static async Task<JsonElement> ResultAsync(ChildProcess process)
    {
        var code = await process.WaitForExitAsync(TimeSpan.FromSeconds(60));
        return code == 0 && process.Output.Count > 0
            ? JsonElement.Parse(process.Output[^1])
            : throw new InvalidOperationException(process.Transcript);
    }

    public ValueTask DisposeAsync() => Process.DisposeAsync();
}
