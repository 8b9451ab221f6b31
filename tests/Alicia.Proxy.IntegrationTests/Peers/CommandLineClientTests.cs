using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Peers;

/// <summary>curl and h2load as callers, over both clear-text protocols, with nginx and the scriptable backend behind.</summary>
[Collection(HeavyTests.Name)]
public sealed class CommandLineClientTests(NginxBehindProxy peers) : IClassFixture<NginxBehindProxy>
{
    private const string Prior = "--http2-prior-knowledge";
    private const string Http1 = "--http1.1";

    [NeedsPackageTheory("nginx-light", "curl")]
    [InlineData(Http1, "1.1")]
    [InlineData(Prior, "2")]
    [InlineData("--http1.0", "1.1")]
    public async Task Curl_downloads_a_large_file_whole(string protocol, string spoken)
    {
        var file = Path.GetTempFileName();
        try
        {
            var said = await CurlAsync(protocol, "-o", file, "-w", "%{http_version} %{http_code} %{size_download}", Url(protocol, "keeps/large.bin"));

            said.Should().Be($"{spoken} 200 {peers.Large.Length}");
            (await File.ReadAllBytesAsync(file)).AsSpan().SequenceEqual(peers.Large).Should().BeTrue();
        }
        finally
        {
            File.Delete(file);
        }
    }

    [NeedsPackageTheory("nginx-light", "curl")]
    [InlineData(Http1)]
    [InlineData(Prior)]
    public async Task Curl_resumes_a_download(string protocol)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(file, peers.Large[..12_345_678]);

            var said = await CurlAsync(protocol, "-C", "-", "-o", file, "-w", "%{http_code}", Url(protocol, "closes/large.bin"));

            said.Should().Be("206");
            (await File.ReadAllBytesAsync(file)).AsSpan().SequenceEqual(peers.Large).Should().BeTrue();
        }
        finally
        {
            File.Delete(file);
        }
    }

    [NeedsPackageTheory("nginx-light", "curl")]
    [InlineData(Http1)]
    [InlineData(Prior)]
    public async Task Curl_unpacks_what_nginx_packed(string protocol)
    {
        var said = await CurlAsync(protocol, "--compressed", "-D", "-", Url(protocol, "keeps/text.txt"));

        said.ToLowerInvariant().Should().Contain("content-encoding: gzip");
        said.Should().EndWith("line 1999");
    }

    [NeedsPackageTheory("nginx-light", "curl")]
    [InlineData(Http1)]
    [InlineData(Prior)]
    public async Task Curl_uploads_a_file_with_and_without_a_length(string protocol)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(file, peers.Large);
            var sum = Convert.ToHexStringLower(SHA256.HashData(peers.Large));

            // curl asks first whether it may (Expect: 100-continue) when it sends a megabyte or more over HTTP/1.1.
            var known = await CurlAsync(protocol, "-T", file, Url(protocol, "backend/sink"));
            var chunked = await CurlAsync(protocol, "-T", file, "-H", "Content-Length:", "-H", "Transfer-Encoding: chunked", Url(protocol, "backend/sink"));

            JsonElement.Parse(known).GetProperty("body_sha256").GetString().Should().Be(sum);
            JsonElement.Parse(chunked).GetProperty("body_sha256").GetString().Should().Be(sum);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [NeedsPackageTheory("nginx-light", "curl")]
    [InlineData(Http1)]
    [InlineData(Prior)]
    [InlineData("--http1.0")]
    public async Task Curl_asks_for_the_head_alone(string protocol)
    {
        var said = await CurlAsync(protocol, "-I", Url(protocol, "keeps/large.bin"));

        said.ToLowerInvariant().Should().Contain(" 200").And.Contain($"content-length: {peers.Large.Length}").And.Contain("accept-ranges: bytes");
    }

    [NeedsPackageFact("nginx-light", "curl")]
    public async Task Curl_of_http1_0_gets_a_body_of_unknown_length_until_the_end_of_the_connection()
    {
        var said = await CurlAsync("--http1.0", "-w", "%{size_download} %{num_connects}", "-o", "/dev/null", Url("--http1.0", "backend/bytes?n=500000&chunked=1"));

        said.Should().Be("500000 1");
    }

    [NeedsPackageFact("nginx-light", "curl")]
    public async Task Curl_keeps_one_connection_for_several_requests()
    {
        var url = Url(Http1, "closes/small.bin");

        var said = await CurlAsync(Http1, "-w", "%{num_connects}\n", "-o", "/dev/null", url, "-o", "/dev/null", url, "-o", "/dev/null", url);

        said.Split('\n').Should().Equal("1", "0", "0");
    }

    [NeedsPackageTheory("nginx-light", "nghttp2-client")]
    [InlineData("h2c", "keeps/small.bin")]
    [InlineData("h2c", "closes/small.bin")]
    [InlineData("h2c", "backend/status/200")]
    [InlineData("http1", "keeps/small.bin")]
    [InlineData("http1", "backend/status/200")]
    public async Task H2load_gets_every_answer_and_every_request_is_counted(string protocol, string path)
    {
        const int Requests = 4000;
        var service = path.Split('/')[0];
        var before = await CountedAsync(service);

        string[] plain = protocol == "h2c" ? ["-m", "8"] : ["--h1"];
        await using var load = ChildProcess.Start(
            "h2load", [.. plain, "-n", Requests.ToString(CultureInfo.InvariantCulture), "-c", "10", "-t", "1", Url(protocol == "h2c" ? Prior : Http1, path)]);
        (await load.WaitForExitAsync(TimeSpan.FromSeconds(60))).Should().Be(0, load.Transcript);

        load.Output.Should().Contain(l => l.StartsWith($"requests: {Requests} total, {Requests} started, {Requests} done, {Requests} succeeded, 0 failed", StringComparison.Ordinal), load.Transcript);
        load.Output.Should().Contain(l => l.StartsWith($"status codes: {Requests} 2xx, 0 3xx, 0 4xx, 0 5xx", StringComparison.Ordinal), load.Transcript);
        var after = await CountedAsync(service);
        (after.Requests - before.Requests, after.Failed - before.Failed, after.Aborted - before.Aborted).Should().Be((Requests, 0, 0));
        await peers.Proxy.Registry.UntilAsync("nothing in flight", $"/stats/{service}", s => s.GetProperty("active_connections").GetInt64() == 0);
    }

    private async Task<(long Requests, long Failed, long Aborted)> CountedAsync(string service)
    {
        var stats = await peers.Proxy.Registry.GetJsonAsync($"/stats/{service}");
        return (stats.GetProperty("total_requests").GetInt64(), stats.GetProperty("failed_requests").GetInt64(), stats.GetProperty("aborted_requests").GetInt64());
    }

    private string Url(string protocol, string path)
    {
        var listener = peers.Proxy.Listeners.First(l => l.Scheme == (protocol == Prior ? "h2c" : "http"));
        return $"http://{listener.Authority}/{path}";
    }

    private static async Task<string> CurlAsync(params string[] arguments)
    {
        // -q: not the user's own settings.
        await using var curl = ChildProcess.Start("curl", ["-q", "-sS", "--noproxy", "*", "--max-time", "30", .. arguments]);
        (await curl.WaitForExitAsync(TimeSpan.FromSeconds(40))).Should().Be(0, curl.Transcript);
        return string.Join('\n', curl.Output).TrimEnd('\n');
    }
}
