using System.Globalization;
using System.Text;
using Alicia.Proxy.Corpus;

namespace Alicia.Proxy.IntegrationTests.Differential;

/// <summary>One request, and the bytes that an instance answers it with.</summary>
/// <param name="Index">Stands in the request's path.</param>
/// <param name="Request">With <c>{host}</c> where the service's host goes.</param>
/// <param name="Answer">All that the instance sends.</param>
/// <param name="Cut">Where the answer is cut in two.</param>
internal sealed record CorpusPair(int Index, string Request, byte[] Answer, int Cut)
{
    private static readonly string[] SplitAnswers =
    [
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nX-A: 1\r\n\r\nhello, world",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n7\r\n, world\r\n0\r\nX-T: 1\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Not here\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    ];

    /// <summary>
    /// Bytes that go out by themselves before the rest. Not just the answer without what is too much behind it: bytes that come after the next request has been sent are its answer as far as
    /// anybody can know, with every proxy.
    /// </summary>
    public int FirstPiece => Reference is { Verdict: AnswerVerdict.Complete } && Reference.Used < Answer.Length && Cut >= Reference.Used ? 0 : Cut;

    public bool IsHead => Request.StartsWith("HEAD ", StringComparison.Ordinal);

    /// <summary>What the answer is by the reference.</summary>
    public ReferenceAnswer Reference { get; } = ReferenceAnswer.Read(Answer, Request.StartsWith("HEAD ", StringComparison.Ordinal));

    /// <summary>True when the instance may wait for another request on the same connection.</summary>
    public bool KeepsConnection => Reference is { Verdict: AnswerVerdict.Complete } && Reference.Used == Answer.Length
        && Reference.Fields.Any(f => f.StartsWith("content-length:", StringComparison.OrdinalIgnoreCase) || f.StartsWith("transfer-encoding:", StringComparison.OrdinalIgnoreCase))
        && !Reference.Fields.Any(f => f.Equals("connection: close", StringComparison.OrdinalIgnoreCase)) && Answer.AsSpan().StartsWith("HTTP/1.1"u8);

    /// <summary>A corpus: some answers cut at every byte, some that end at every byte, and generated ones up to <paramref name="count"/>.</summary>
    public static List<CorpusPair> Corpus(int count, int seed)
    {
        var pairs = new List<CorpusPair>(count);
        foreach (var answer in SplitAnswers.Select(Encoding.Latin1.GetBytes))
        {
            for (var at = 1; at < answer.Length; at++)
            {
                pairs.Add(new CorpusPair(pairs.Count, Get(pairs.Count), answer, at));
                pairs.Add(new CorpusPair(pairs.Count, Get(pairs.Count), answer[..at], at));
            }
        }

        var (random, answers) = (new Random(seed), new AnswerGenerator(seed));
        while (pairs.Count < count)
        {
            var request = RequestOf(random, pairs.Count);
            var answer = answers.Next(request.StartsWith("HEAD ", StringComparison.Ordinal), oddity: random.Next(2) * random.Next(6));
            pairs.Add(new CorpusPair(pairs.Count, request, answer, random.Next(answer.Length + 1)));
        }

        return pairs;
    }

    private static string Get(int index) => string.Create(CultureInfo.InvariantCulture, $"GET /{index} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");

    private static string RequestOf(Random random, int index)
    {
        var text = new StringBuilder();
        var method = random.Next(10) switch { 0 => "HEAD", 1 or 2 => "POST", 3 => "PUT", 4 => "DELETE", _ => "GET" };
        text.Append(CultureInfo.InvariantCulture, $"{method} /{index}?q=%2F{random.Next()} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n");
        for (var i = random.Next(4); i > 0; i--)
            text.Append(CultureInfo.InvariantCulture, $"X-{i}: {new string((char)random.Next(33, 127), random.Next(100))}x\r\n");
        var body = method is "POST" or "PUT" ? new string((char)random.Next(33, 127), random.Next(4) == 0 ? random.Next(50_000) : random.Next(100)) : "";
        if (method is not ("POST" or "PUT"))
            return text.Append("\r\n").ToString();
        if (random.Next(2) == 0)
            return text.Append(CultureInfo.InvariantCulture, $"Content-Length: {body.Length}\r\n\r\n{body}").ToString();
        text.Append("Transfer-Encoding: chunked\r\n\r\n");
        for (var at = 0; at < body.Length;)
        {
            var size = Math.Min(random.Next(1, body.Length + 1), body.Length - at);
            text.Append(CultureInfo.InvariantCulture, $"{size:x}\r\n{body.AsSpan(at, size)}\r\n");
            at += size;
        }

        return text.Append("0\r\n\r\n").ToString();
    }
}
