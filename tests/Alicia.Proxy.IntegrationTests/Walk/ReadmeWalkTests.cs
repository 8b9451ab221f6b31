using System.Globalization;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Walk;

/// <summary>What a newcomer does first, with programs that are not ours: two plain file servers, curl, and a proxy that is killed.</summary>
public sealed class ReadmeWalkTests
{
    private const string Python = "/usr/bin/python3";

    [NeedsPackageFact("curl", "python3")]
    public async Task Two_file_servers_share_requests_until_one_leaves_and_over_a_crash()
    {
        await using var first = await FileServer.StartAsync("first");
        await using var second = await FileServer.StartAsync("second");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Guards = true });

        (await RegisterAsync(proxy, "web-1", first.Port)).Should().Be("201");
        (await RegisterAsync(proxy, "web-2", second.Port)).Should().Be("201");
        (await RegisterAsync(proxy, "web-2", second.Port)).Should().Be("200", "repeating changes nothing");
        (await AskAsync(proxy, 10)).Should().BeEquivalentTo(Answers("first", 5).Concat(Answers("second", 5)));
        (await first.RequestsAsync(5), await second.RequestsAsync(5)).Should().Be((5, 5));

        await proxy.RestartAsync(kill: true);
        (await AskAsync(proxy, 10)).Should().BeEquivalentTo(Answers("first", 5).Concat(Answers("second", 5)), "the registry outlives a crash");

        (await CurlAsync("--request", "DELETE", "--output", "/dev/null", "--write-out", "%{http_code}", new Uri(proxy.ManagementAddress, "/services/web/web-1").ToString()))
            .Should().Equal("200");
        (await AskAsync(proxy, 10)).Should().Equal(Answers("second", 10));

        await proxy.RestartAsync(kill: true);
        (await AskAsync(proxy, 10)).Should().Equal(Answers("second", 10), "and so does a removal");
        (await first.RequestsAsync(10)).Should().Be(10);
    }

    private static IEnumerable<string> Answers(string text, int count) => Enumerable.Repeat(text, count);

    private static async Task<string> RegisterAsync(ProxyProcess proxy, string id, int port) => (await CurlAsync(
        "--header", "Content-Type: application/json", "--data", $$"""{"instance_id": "{{id}}", "host": "127.0.0.1", "port": {{port}}}""",
        "--output", "/dev/null", "--write-out", "%{http_code}", new Uri(proxy.ManagementAddress, "/services/web/register?wait=10").ToString())).Single();

    /// <summary>Asks for the same file so many times, each time with a new connection.</summary>
    private static async Task<List<string>> AskAsync(ProxyProcess proxy, int count)
    {
        var answers = new List<string>();
        for (var i = 0; i < count; i++)
            answers.AddRange(await CurlAsync("--fail", new Uri(proxy.Address, "/web/who.txt").ToString()));
        return answers;
    }

    private static async Task<IReadOnlyList<string>> CurlAsync(params string[] arguments)
    {
        await using var curl = ChildProcess.Start("curl", ["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", .. arguments]);
        (await curl.WaitForExitAsync()).Should().Be(0, curl.Transcript);
        return curl.Output;
    }

    /// <summary>Python's own file server over a directory with one file, which says who it is.</summary>
    private sealed class FileServer : IAsyncDisposable
    {
        private readonly ChildProcess _process;
        private readonly string _directory;

        private FileServer(ChildProcess process, string directory, int port) => (_process, _directory, Port) = (process, directory, port);

        public int Port { get; }

        public static async Task<FileServer> StartAsync(string text)
        {
            var directory = Directory.CreateTempSubdirectory("alicia-walk-").FullName;
            await File.WriteAllTextAsync(Path.Combine(directory, "who.txt"), text + "\n");
            var process = ChildProcess.Start(Python, ["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"], directory);
            try
            {
                // Serving HTTP on 127.0.0.1 port 12345 (http://127.0.0.1:12345/) ...
                var line = await process.WaitForLineAsync(l => l.StartsWith("Serving HTTP on ", StringComparison.Ordinal));
                return new FileServer(process, directory, int.Parse(line.Split(' ')[5], CultureInfo.InvariantCulture));
            }
            catch
            {
                await process.DisposeAsync();
                throw;
            }
        }

        /// <summary>Requests for the file in the access log, once it has at least so many.</summary>
        public async Task<int> RequestsAsync(int atLeast) =>
            await Eventually.Until($"{atLeast} requests in the access log", () => Task.FromResult(Logged()), count => count >= atLeast);

        public async ValueTask DisposeAsync()
        {
            await _process.DisposeAsync();
            Directory.Delete(_directory, recursive: true);
        }

        private int Logged() => _process.Errors.Count(line => line.Contains("\"GET /who.txt ", StringComparison.Ordinal));
    }
}
