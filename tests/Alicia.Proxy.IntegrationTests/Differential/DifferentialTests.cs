using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Alicia.Proxy.Corpus;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Differential;

/// <summary>
/// Two proxies, one with each forwarder, and the same requests and answers through both: their callers see the same, which is what the reference says, and their instances too. The corpus does without
/// what docs/limits.md lists as different.
/// </summary>
public sealed class DifferentialTests
{
    private const int Pairs = 10_000;
    private const int Seed = 9;
    private const int Callers = 6;

    /// <summary>
    /// Times that a pair is asked again after an answer of the proxies' own: a kept connection that its instance closes under a request is nobody's fault, and happens to one of them and not to
    /// the other.
    /// </summary>
    private const int Again = 3;

    /// <summary>Fields that belong to one connection or one proxy. The framing is compared by the body that it frames.</summary>
    private static readonly HashSet<string> Own = new(StringComparer.OrdinalIgnoreCase) { "Date", "X-Request-Id", "Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Proxy-Status" };

    [Fact]
    public async Task Callers_and_instances_see_the_same_with_either_forwarder()
    {
        var pairs = CorpusPair.Corpus(Pairs, Seed);
        await using var behindDirect = new CorpusUpstream(pairs);
        await using var behindYarp = new CorpusUpstream(pairs);
        await using var direct = await StartAsync("direct", behindDirect);
        await using var yarp = await StartAsync("yarp", behindYarp);
        var faults = new ConcurrentQueue<string>();
        var counts = new int[3];

        await Parallel.ForEachAsync(pairs, new ParallelOptions { MaxDegreeOfParallelism = Callers }, async (pair, _) =>
        {
            var one = await AskAsync(direct, behindDirect, pair);
            var other = await AskAsync(yarp, behindYarp, pair);
            Interlocked.Increment(ref counts[(int)pair.Reference.Verdict]);
            var expected = Expected(pair.Reference);
            if (one != expected)
                faults.Enqueue($"{pair.Index}, direct: {one}, not {expected}; yarp: {other}; answer: {Convert.ToHexString(pair.Answer)}");
            else if (other != one)
                faults.Enqueue($"{pair.Index}, yarp: {other}; direct: {one}; answer: {Convert.ToHexString(pair.Answer)}");
            if (behindDirect.Seen(pair.Index) is not { } seen || seen != behindYarp.Seen(pair.Index))
                faults.Enqueue($"{pair.Index}, by direct came: {behindDirect.Seen(pair.Index)}, by yarp: {behindYarp.Seen(pair.Index)}");
        });

        faults.Take(20).Should().BeEmpty("no pair may differ, and of {0} there are {1} that do", Pairs, faults.Count);
        counts.Should().OnlyContain(n => n > Pairs / 50, "the corpus has answers of every kind: {0}", string.Join(", ", counts));
    }

    private static async Task<ProxyProcess> StartAsync(string forwarder, CorpusUpstream upstream)
    {
        // The last argument counts, whichever forwarder this run of the tests is about.
        var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory", "--Defaults:Retry:Attempts=0", $"--Forwarding:Http1={forwarder}"] });
        using var registered = await proxy.Registry.RegisterAsync("corpus", "127.0.0.1", upstream.Port, query: "wait=10");
        await RegistryApi.DocumentOfAsync(registered);
        return proxy;
    }

    private static async Task<string> AskAsync(ProxyProcess proxy, CorpusUpstream upstream, CorpusPair pair)
    {
        for (var attempt = 0; ; attempt++)
        {
            var got = await RawHttp.SendAsync(proxy.Address, pair.Request.Replace("{host}", "corpus.alicia.local", StringComparison.Ordinal));
            var isOwn = got.Values("Proxy-Status").Count > 0;
            if (isOwn && got.Status == 502 && (pair.Reference.Verdict == AnswerVerdict.Complete || upstream.Seen(pair.Index) is null) && attempt < Again)
                continue;
            if (isOwn && got.Status != 502)
                return $"answered {got.Status} by the proxy";
            var bytes = Encoding.Latin1.GetBytes(got.Text);
            var answer = ReferenceAnswer.Read(bytes, pair.IsHead);
            // An answer that was cut and one that was refused tell the caller the same: there is none.
            return isOwn || answer.Verdict != AnswerVerdict.Complete || got.End == RawEnd.Reset ? "none" : Text(answer.Status, answer.Fields, answer.Body);
        }
    }

    private static string Expected(ReferenceAnswer reference)
    {
        if (reference.Verdict != AnswerVerdict.Complete)
            return "none";
        var nominated = reference.Fields.Where(f => f.StartsWith("connection:", StringComparison.OrdinalIgnoreCase)).SelectMany(f => f["connection:".Length..].Split(',', StringSplitOptions.TrimEntries)).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return Text(reference.Status, reference.Fields.Where(f => !nominated.Contains(f[..f.IndexOf(':', StringComparison.Ordinal)])), reference.Body);
    }

    private static string Text(int status, IEnumerable<string> fields, string body) => string.Create(CultureInfo.InvariantCulture,
        $"{status} [{string.Join(" | ", fields.Where(f => !Own.Contains(f[..f.IndexOf(':', StringComparison.Ordinal)])).Select(f => f[..f.IndexOf(':', StringComparison.Ordinal)].ToLowerInvariant() + f[f.IndexOf(':', StringComparison.Ordinal)..]).Order(StringComparer.Ordinal))}] {body.Length} bytes {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(Encoding.Latin1.GetBytes(body)))[..12]}");
}
