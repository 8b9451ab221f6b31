using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using Alicia.Proxy.Callers;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Http1;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Corpus.Parsers;

/// <summary>Answers of instances as the guard of the HTTP client reads them.</summary>
internal sealed class StrictResponsesProperty() : ParserProperty(
    "StrictResponses", "passes every answer that the reference calls whole, and none that it calls malformed, but for what is the HTTP client's to refuse; however it is cut; nothing passes behind its end")
{
    public override int Inputs => 60_000;

    public override void Check(Random random)
    {
        var isHead = random.Next(10) == 0;
        var bytes = new AnswerGenerator(random.Next()).Next(isHead, oddity: random.Next(3) == 0 ? 0 : random.Next(12));
        var reference = ReferenceAnswer.Read(bytes, isHead);
        var text = Encoding.Latin1.GetString(bytes);
        var complete = reference.Verdict == AnswerVerdict.Complete;
        var until = complete ? reference.Used : bytes.Length;
        var (whole, _) = Read(bytes.AsSpan(0, until), isHead, [until]);
        var (pieces, parser) = Read(bytes.AsSpan(0, until), isHead, random.Pieces(until));
        if (complete)
        {
            Require(whole is null && pieces is null, $"a whole answer is refused ({whole ?? pieces}, HEAD: {isHead})", text);
            var rest = bytes.AsSpan(until);
            if (rest.Length > 0 && reference.Status != 101)
                Require(parser.Received(rest) is not null, "bytes that nobody asked for pass", text);
            return;
        }

        if (reference.Verdict != AnswerVerdict.Malformed)
        {
            Require((whole is null) == (pieces is null), $"at once {whole ?? "passes"}, in pieces {pieces ?? "passes"}", text);
            return;
        }

        // What shows at the end of a line only gets one. That a 205 has no body, and how many fields there may be, is the client's to see.
        var refused = whole ?? parser.Received("\r\n\r\n\r\n"u8);
        Require(refused is not null || StatusesOfTheClient(text), $"a malformed answer passes (HEAD: {isHead})", text);
    }

    private static bool StatusesOfTheClient(string text) => text.Contains(" 205", StringComparison.Ordinal) || text.Contains(" 099", StringComparison.Ordinal);

    private static (string? Fault, StrictResponses Parser) Read(ReadOnlySpan<byte> bytes, bool isHead, int[] ends)
    {
        var parser = new StrictResponses();
        parser.Sent(isHead ? "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"u8 : "GET / HTTP/1.1\r\nHost: a\r\n\r\n"u8);
        var from = 0;
        foreach (var end in ends)
        {
            if (parser.Received(bytes[from..end]) is { } fault)
                return (fault, parser);
            from = end;
        }

        return (null, parser);
    }
}

/// <summary>Requests as the HTTP client writes them.</summary>
internal sealed class SentRequestsProperty() : ParserProperty("SentRequests", "says of each piece whether a request begins with it, whatever the bodies look like and however they are cut")
{
    public override int Inputs => 60_000;

    private static readonly string[] BodyParts = ["GET / HTTP/1.1\r\n", "\r\n\r\n", "0\r\n\r\n", "Content-Length: 5\r\n", "\r", "\n", "a", "HEAD ", "\0", "5\r\n"];

    public override void Check(Random random)
    {
        var parser = new SentRequests();
        for (var i = random.Next(1, 6); i > 0; i--)
        {
            var request = Encoding.Latin1.GetBytes(Request(random));
            var from = 0;
            foreach (var end in random.Pieces(request.Length))
            {
                Require(parser.Take(request.AsSpan(from..end)) == (from == 0), $"wrong about the piece from {from} to {end}", Encoding.Latin1.GetString(request));
                from = end;
            }
        }

        Require(!parser.Take([]), "nothing is said to be a request", "");
    }

    private static string Request(Random random)
    {
        var body = random.Text(BodyParts, 6);
        var head = random.Of("GET", "POST", "HEAD", "x") + " /" + random.Text(["a", "/", "?", "content-length:1"], 4) + " HTTP/1.1\r\nHost: a\r\n" + random.Text(["X: 1\r\n", "Y:\r\n", "X-Content-Length: 7\r\n"], 3);
        switch (random.Next(4))
        {
            case 0:
                return head + "\r\n";
            case 1:
                return string.Create(CultureInfo.InvariantCulture, $"{head}{random.Of("Content-Length", "content-length")}: {body.Length}\r\n{random.Text(["Z: 1\r\n"], 1)}\r\n{body}");
            default:
                var text = new StringBuilder(head).Append(random.Of("Transfer-Encoding", "transfer-encoding")).Append(": chunked\r\n\r\n");
                for (var at = 0; at < body.Length;)
                {
                    var size = Math.Min(random.Next(1, 30), body.Length - at);
                    text.Append(size.ToString(random.Of("x", "X"), CultureInfo.InvariantCulture)).Append("\r\n").Append(body, at, size).Append("\r\n");
                    at += size;
                }

                return text.Append("0\r\n\r\n").ToString();
        }
    }
}

/// <summary>What the server gets of a caller's connection.</summary>
internal sealed class GuardedInputProperty() : ParserProperty(
    "GuardedInput", "gives the server the good requests byte for byte and then a refusal, with the same status however the bytes come and are taken, and never a byte of a bad one that came whole")
{
    private const string Refused = "OPTIONS * HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";
    private const string Broken = "\0\0\r\n\r\n";

    private static readonly PipeOptions Options = new(useSynchronizationContext: false, readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline, minimumSegmentSize: 32);

    /// <summary>A pipe with a task for each piece costs more than what is tried.</summary>
    public override int Inputs => 40_000;

    public override void Check(Random random)
    {
        var input = new RequestMutations(random.Next()).Next();
        // Behind a head that asks for another protocol the rest waits until the server comes back: unit tests have that.
        if (input.Contains("upgrade", StringComparison.OrdinalIgnoreCase))
            return;
        var bytes = Encoding.Latin1.GetBytes(input);
        var reading = StrictReading.Read(input, []);
        var good = (int)reading.Ends.LastOrDefault();
        var (whole, wholeStatus) = Run(bytes, [bytes.Length], null);
        var (pieces, status) = Run(bytes, random.Pieces(bytes.Length), random);
        // What is not whole when the connection ends is refused as well.
        var isClean = reading.Fault is null && reading.EndsBetweenRequests;
        // An empty line in front of a request that does not come goes nowhere.
        if (isClean && input[good..] == "\r\n")
            input = input[..good];
        Require(isClean ? whole == input && pieces == input : whole == input[..good] + Refused || IsBrokenOff(whole, input, good), $"the server got '{Shown(whole)}'", input);
        Require(isClean || pieces == input[..good] + Refused || IsBrokenOff(pieces, input, good), $"in pieces the server got '{Shown(pieces)}'", input);
        Require(status == wholeStatus && (status == 0 || reading.Fault is null || status == reading.Fault.Status), $"{wholeStatus} at once, {status} in pieces, {reading.Fault?.Status} by the grammar", input);
        Require(reading.Fault is null || whole == input[..good] + Refused, "of a bad request that came at once the server got a part", input);
    }

    private static bool IsBrokenOff(string given, string input, int good) =>
        given.Length > good
        && (given.EndsWith(Broken, StringComparison.Ordinal) ? input.StartsWith(given[..^Broken.Length], StringComparison.Ordinal) : input.StartsWith(given, StringComparison.Ordinal));

    private static (string Given, int Status) Run(byte[] bytes, int[] ends, Random? random)
    {
        var transport = new Pipe(Options);
        var input = new GuardedInput(transport.Reader, new CallerLimits(), new FeatureCollection(), TimeProvider.System);
        var given = new StringBuilder();
        var from = 0;
        foreach (var end in ends)
        {
            System.Buffers.BuffersExtensions.Write(transport.Writer, bytes.AsSpan(from..end));
            Finish(transport.Writer.FlushAsync());
            from = end;
            Take(input, given, random);
        }

        transport.Writer.Complete();
        for (var turns = 0; turns < 1000; turns++)
        {
            var result = Finish(input.ReadAsync());
            Append(input, given, result, null);
            if (result.IsCompleted)
                return (given.ToString(), input.Refusal?.Status ?? 0);
        }

        throw new InvalidOperationException("no end: " + Encoding.Latin1.GetString(bytes));
    }

    private static void Take(GuardedInput input, StringBuilder given, Random? random)
    {
        for (var turns = 0; turns < 1000 && input.TryRead(out var result); turns++)
        {
            Append(input, given, result, random);
            if (result.IsCompleted || result.Buffer.IsEmpty || random?.Next(4) == 0)
                return;
        }
    }

    private static void Append(GuardedInput input, StringBuilder given, in ReadResult result, Random? random)
    {
        // Part of it, and the rest is not to come again before there is more; or all.
        var taken = random is null || random.Next(3) > 0 ? result.Buffer.Length : random.NextInt64(result.Buffer.Length + 1);
        var part = result.Buffer.Slice(0, taken);
        given.Append(Encoding.Latin1.GetString(System.Buffers.BuffersExtensions.ToArray(part)));
        input.AdvanceTo(part.End, result.Buffer.End);
    }

    private static T Finish<T>(ValueTask<T> work) => work.IsCompletedSuccessfully ? work.Result : throw new InvalidOperationException("waits for what is there");
}

/// <summary>Requests of HTTP/2.</summary>
internal sealed class Http2RequestProperty() : ParserProperty("Http2Request", "passes only what, written as a request of HTTP/1.1, the guard there reads as exactly one request")
{
    private static readonly string[] Targets = ["/", "a", "?", "%", "#", " ", "\r\n", "\0", "é", "//", "HTTP/1.1", "*", "~"];
    private static readonly string[] Words = ["x", "X-Own", "(", " ", ":", "\r", "\n", "\0", "é", "-", "Host", "cookie"];
    private static readonly string[] Values = ["a", " ", "\t", "\r\n", "\n", "\0", "é", "\u007f", ":", "X: 1", "\u0001"];
    private static readonly string[] Hosts = ["a", "b.c", ":80", "[::1]", ":", ",", "@", " ", "/", "\r\n", "é"];

    public override void Check(Random random)
    {
        var context = new DefaultHttpContext();
        var request = context.Request;
        request.Method = random.Mutated(random.Of("GET", "POST", "x"));
        var target = "/" + random.Text(Targets, 4);
        var host = random.Text(Hosts, 2);
        request.Headers.Host = host;
        for (var i = random.Next(3); i > 0; i--)
        {
            var name = random.Text(Words, 2);
            // The server counts the body's bytes; trailers and their announcement end here.
            if (name.Length > 0 && name[0] != ':' && !name.Equals("host", StringComparison.OrdinalIgnoreCase))
                request.Headers[name] = random.Text(Values, 3);
        }

        if (random.Next(20) == 0)
            request.Headers[random.Of("Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Proxy-Connection")] = "x";
        var fault = Http2Request.Check(request, target, StrictReading.Limits);
        if (fault is not null || host.Length == 0 || request.Method == "CONNECT")
            return;
        var text = new StringBuilder($"{request.Method} {target} HTTP/1.1\r\n");
        foreach (var (name, value) in request.Headers)
            text.Append(name).Append(": ").Append(value.ToString()).Append("\r\n");
        var written = text.Append("\r\n").ToString();
        var reading = StrictReading.Read(written, []);
        Require(reading.Fault is null && reading.Ends is [var end] && end == written.Length, $"passes, and is {reading.Fault?.Detail ?? "not one request"}", written);
    }
}
