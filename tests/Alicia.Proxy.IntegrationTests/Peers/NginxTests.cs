using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Peers;

/// <summary>nginx behind the proxy, a proxy with both clear-text listeners, and a service for each manner of keeping connections.</summary>
public sealed class NginxBehindProxy : IAsyncLifetime
{
    internal NginxUpstream Nginx { get; private set; } = null!;

    internal Backend Backend { get; private set; } = null!;

    internal ProxyProcess Proxy { get; private set; } = null!;

    internal byte[] Large { get; } = RandomNumberGenerator.GetBytes(30_000_000);

    internal string Text { get; } = string.Concat(Enumerable.Range(0, 2000).Select(i => $"line {i}\n"));

    public async Task InitializeAsync()
    {
        if (MissingPackages.SkipReason(["nginx-light"]) is not null)
            return;
        Nginx = await NginxUpstream.StartAsync();
        await File.WriteAllBytesAsync(Path.Combine(Nginx.Root, "large.bin"), Large);
        await File.WriteAllTextAsync(Path.Combine(Nginx.Root, "text.txt"), Text);
        await File.WriteAllTextAsync(Path.Combine(Nginx.Root, "small.bin"), "small");
        Backend = await Backend.StartAsync("A");
        Proxy = await ProxyProcess.StartAsync(new ProxyOptions { Listen = "http://127.0.0.1:0;h2c://127.0.0.1:0" });
        await RegisterAsync("keeps", Nginx.KeepsPort);
        await RegisterAsync("closes", Nginx.ClosesPort);
        await RegisterAsync("impatient", Nginx.ImpatientPort);
        await Proxy.Registry.RegisterActiveAsync("backend", Backend);
    }

    public async Task DisposeAsync()
    {
        if (Proxy is not null)
            await Proxy.DisposeAsync();
        if (Backend is not null)
            await Backend.DisposeAsync();
        if (Nginx is not null)
            await Nginx.DisposeAsync();
    }

    internal HttpClient Caller(string protocol) => protocol == "h2c" ? Proxy.H2c : Proxy.Http;

    private async Task RegisterAsync(string service, int port)
    {
        using var answer = await Proxy.Registry.RegisterAsync(service, "127.0.0.1", port, "nginx", query: "wait=10");
        (await RegistryApi.DocumentOfAsync(answer)).GetProperty("state").GetString().Should().Be("active");
    }
}

/// <summary>nginx as an instance: what it says about its files and what it does with its connections, seen by callers as if they had asked it themselves.</summary>
public sealed class NginxTests(NginxBehindProxy peers, ITestOutputHelper output) : IClassFixture<NginxBehindProxy>
{
    public static TheoryData<string, string> Combinations => new()
    {
        { "http1", "keeps" }, { "http1", "closes" }, { "http1", "impatient" }, { "h2c", "keeps" }, { "h2c", "closes" },
    };

    [NeedsPackageTheory("nginx-light")]
    [MemberData(nameof(Combinations))]
    public async Task A_large_file_comes_whole_and_again(string caller, string service)
    {
        for (var i = 0; i < 3; i++)
        {
            using var answer = await peers.Caller(caller).GetAsync($"/{service}/large.bin");

            answer.StatusCode.Should().Be(HttpStatusCode.OK);
            answer.Headers.AcceptRanges.Should().Equal("bytes");
            answer.Content.Headers.ContentLength.Should().Be(peers.Large.Length);
            (await answer.Content.ReadAsByteArrayAsync()).AsSpan().SequenceEqual(peers.Large).Should().BeTrue();
        }
    }

    [NeedsPackageTheory("nginx-light")]
    [MemberData(nameof(Combinations))]
    public async Task Ranges_are_the_instance_s_to_answer(string caller, string service)
    {
        using var one = new HttpRequestMessage(HttpMethod.Get, $"/{service}/large.bin");
        one.Headers.Range = new RangeHeaderValue(1_000_000, 1_000_099);
        using var part = await peers.Caller(caller).SendAsync(one);
        part.StatusCode.Should().Be(HttpStatusCode.PartialContent);
        part.Content.Headers.ContentRange!.ToString().Should().Be($"bytes 1000000-1000099/{peers.Large.Length}");
        (await part.Content.ReadAsByteArrayAsync()).Should().Equal(peers.Large[1_000_000..1_000_100]);

        using var several = new HttpRequestMessage(HttpMethod.Get, $"/{service}/large.bin");
        several.Headers.TryAddWithoutValidation("Range", "bytes=0-9,100-109");
        using var parts = await peers.Caller(caller).SendAsync(several);
        parts.Content.Headers.ContentType!.MediaType.Should().Be("multipart/byteranges");

        using var beyond = new HttpRequestMessage(HttpMethod.Get, $"/{service}/large.bin");
        beyond.Headers.TryAddWithoutValidation("Range", "bytes=40000000-");
        using var none = await peers.Caller(caller).SendAsync(beyond);
        none.StatusCode.Should().Be(HttpStatusCode.RequestedRangeNotSatisfiable);
        none.Headers.Should().NotContainKey("Proxy-Status");
    }

    [NeedsPackageTheory("nginx-light")]
    [MemberData(nameof(Combinations))]
    public async Task A_conditional_request_is_answered_304_with_its_fields(string caller, string service)
    {
        using var first = await peers.Caller(caller).GetAsync($"/{service}/small.bin");
        var tag = first.Headers.ETag!;

        using var byTag = new HttpRequestMessage(HttpMethod.Get, $"/{service}/small.bin");
        byTag.Headers.IfNoneMatch.Add(tag);
        using var same = await peers.Caller(caller).SendAsync(byTag);
        same.StatusCode.Should().Be(HttpStatusCode.NotModified);
        same.Headers.ETag.Should().Be(tag);
        (await same.Content.ReadAsByteArrayAsync()).Should().BeEmpty();

        using var byDate = new HttpRequestMessage(HttpMethod.Get, $"/{service}/small.bin");
        byDate.Headers.IfModifiedSince = first.Content.Headers.LastModified;
        (await peers.Caller(caller).SendAsync(byDate)).StatusCode.Should().Be(HttpStatusCode.NotModified);

        using var changed = new HttpRequestMessage(HttpMethod.Get, $"/{service}/small.bin");
        changed.Headers.TryAddWithoutValidation("If-Match", "\"other\"");
        (await peers.Caller(caller).SendAsync(changed)).StatusCode.Should().Be(HttpStatusCode.PreconditionFailed);
    }

    [NeedsPackageTheory("nginx-light")]
    [MemberData(nameof(Combinations))]
    public async Task Compression_is_between_the_caller_and_the_instance(string caller, string service)
    {
        using var plain = await peers.Caller(caller).GetAsync($"/{service}/text.txt");
        plain.Content.Headers.ContentEncoding.Should().BeEmpty();
        (await plain.Content.ReadAsStringAsync()).Should().Be(peers.Text);

        using var request = new HttpRequestMessage(HttpMethod.Get, $"/{service}/text.txt");
        request.Headers.AcceptEncoding.ParseAdd("gzip");
        using var packed = await peers.Caller(caller).SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        packed.Content.Headers.ContentEncoding.Should().Equal("gzip");
        packed.Content.Headers.ContentLength.Should().BeNull();
        using var text = new StreamReader(new GZipStream(await packed.Content.ReadAsStreamAsync(), CompressionMode.Decompress));
        (await text.ReadToEndAsync()).Should().Be(peers.Text);
    }

    [NeedsPackageTheory("nginx-light")]
    [InlineData("keeps")]
    [InlineData("closes")]
    [InlineData("impatient")]
    public async Task Connections_that_nginx_closes_under_load_cost_no_request_that_may_arrive_twice(string service)
    {
        const int Reloads = 8, Workers = 4;
        using var enough = new CancellationTokenSource();
        var gets = Enumerable.Range(0, Workers).Select(_ => Task.Run(() => LoadAsync(() => peers.Proxy.Http.GetAsync($"/{service}/small.bin"), enough.Token))).ToArray();
        var posts = Task.Run(() => LoadAsync(() => peers.Proxy.Http.PostAsync($"/{service}/post", new StringContent("body")), enough.Token));

        // nginx that reads its configuration again closes every idle connection at once, in the middle of the traffic.
        for (var i = 0; i < Reloads; i++)
        {
            await peers.Nginx.ReloadAsync();
            await Task.WhenAny(posts, Task.Delay(200));
        }

        await enough.CancelAsync();
        var got = await Task.WhenAll(gets);
        var posted = await posts;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{service}: {got.Sum(g => g.Failed)} of {got.Sum(g => g.Sent)} GETs and {posted.Failed} of {posted.Sent} POSTs met a closing connection"));
        got.Append(posted).Should().OnlyContain(load => load.Sent > 10);
        got.Should().OnlyContain(load => load.Failed == 0, "a GET that was on the wire is sent again");
        // A closing that was noticed in time costs nothing, so the load loses at most one request a reload.
        posted.Failed.Should().BeLessThanOrEqualTo(service == "closes" ? 0 : Reloads, "a connection that is not kept is not idle when nginx closes those");
    }

    [NeedsPackageFact("nginx-light")]
    public async Task Requests_that_come_just_when_nginx_tires_of_an_idle_connection_are_answered()
    {
        // It waits half a second. Pauses spread around that meet connections before, in and after their closing.
        const int Workers = 16, Rounds = 5;
        var workers = Enumerable.Range(0, Workers).Select(async worker =>
        {
            var random = new Random(worker);
            var failed = 0;
            for (var i = 0; i < Rounds; i++)
            {
                using var answer = await peers.Proxy.Http.GetAsync("/impatient/small.bin");
                if (answer.StatusCode != HttpStatusCode.OK)
                {
                    failed++;
                    ShouldBlameTheClosing(answer);
                }

                await Task.Delay(random.Next(485, 515));
            }

            return failed;
        });

        (await Task.WhenAll(workers)).Sum().Should().Be(0, "a GET that crosses the closing on the wire is sent again");
    }

    /// <summary>One request after the other. One that fails must say that the instance closed the connection.</summary>
    private static async Task<(int Sent, int Failed)> LoadAsync(Func<Task<HttpResponseMessage>> send, CancellationToken enough)
    {
        var (sent, failed) = (0, 0);
        while (!enough.IsCancellationRequested)
        {
            using var answer = await send();
            sent++;
            if (answer.StatusCode == HttpStatusCode.OK)
                continue;
            failed++;
            ShouldBlameTheClosing(answer);
        }

        return (sent, failed);
    }

    private static void ShouldBlameTheClosing(HttpResponseMessage answer)
    {
        answer.StatusCode.Should().Be(HttpStatusCode.BadGateway);
        answer.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=connection_terminated");
    }
}
