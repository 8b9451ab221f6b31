using System.Collections.Concurrent;
using System.Globalization;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>
/// Thousands of generated exchanges over kept connections: what the instance sees is what was sent, what the caller sees is what was answered, but for the changes
/// that the contract lists. A failure names the seed and the case.
/// </summary>
public sealed class RoundTripTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    private const int Seed = 20_111;
    private const int Connections = 4;
    private const int CasesEach = 1_300;

    /// <summary>What the proxy adds to requests, X-Request-Id to answers as well, and what frames bodies anew.</summary>
    private static readonly string[] _ours =
        ["Host", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "X-Case", "Content-Length", "Transfer-Encoding"];

    private readonly ConcurrentDictionary<int, RoundTripCase> _cases = new();
    private int _seen;

    [Fact]
    public async Task What_is_sent_arrives_and_what_is_answered_comes_back()
    {
        await using var upstream = WireServer.Start(AnswerAsync);
        var host = await fixture.ServiceAsync(upstream);

        await Task.WhenAll(Enumerable.Range(0, Connections).Select(connection => Task.Run(() => CallAsync(connection, host))));

        _seen.Should().Be(Connections * CasesEach);
        upstream.Accepted.Should().BeLessThan(Connections * 20, "connections are kept");
    }

    private async Task CallAsync(int connection, string host)
    {
        var random = new Random(Seed + connection);
        using var wire = await Wire.ConnectAsync(fixture.Address);
        for (var i = 0; i < CasesEach; i++)
        {
            var exchange = _cases[(connection * CasesEach) + i] = new RoundTripCase((connection * CasesEach) + i, random);
            // Sent and read at once: an answer may come before a long body has gone.
            var sending = wire.SendAsync(exchange.Request(host));
            var answer = await wire.ReadMessageAsync(bodyless: exchange.Method == "HEAD");
            await sending;
            Compare(exchange, "answer", answer!, $"HTTP/1.1 {exchange.Status}", exchange.ResponseFields, exchange.Method == "HEAD" ? [] : exchange.ResponseBody!,
                exchange.ResponseChunked);
            answer!.Values("X-Fault").Should().BeEmpty(Name(exchange));
        }
    }

    /// <summary>The instance's side. What it finds wrong it says in X-Fault, so that the caller's side reports it.</summary>
    private async Task AnswerAsync(Wire wire)
    {
        while (await wire.ReadMessageAsync() is { } request)
        {
            var exchange = _cases[int.Parse(request.Values("X-Case")[0], CultureInfo.InvariantCulture)];
            try
            {
                Compare(exchange, "request", request, $"{exchange.Method} {exchange.Target} HTTP/1.1", exchange.RequestFields, exchange.RequestBody ?? [],
                    exchange.RequestChunked);
                Interlocked.Increment(ref _seen);
            }
            catch (InvalidOperationException fault)
            {
                await wire.SendAsync($"HTTP/1.1 500 Fault\r\nX-Fault: {fault.Message.ReplaceLineEndings(" | ")}\r\nContent-Length: 0\r\n\r\n");
                return;
            }

            await wire.SendAsync(exchange.Response(exchange.Method == "HEAD"));
        }
    }

    private static string Name(RoundTripCase exchange) => $"seed {Seed}, case {exchange.Number}: {exchange.Method} {exchange.Target}";

    /// <exception cref="InvalidOperationException">Something differs.</exception>
    private static void Compare(
        RoundTripCase exchange, string what, WireMessage message, string startLine, IReadOnlyList<(string Name, string Value)> fields, byte[] body, bool chunked)
    {
        void Expect(bool holds, string that)
        {
            if (!holds)
                throw new InvalidOperationException($"{Name(exchange)}: {what}: {that}; came: {message.StartLine} {string.Join(" ## ", message.Fields)}");
        }

        Expect(message.StartLine == startLine, $"the start line is '{startLine}'");
        foreach (var group in fields.GroupBy(f => f.Name, StringComparer.OrdinalIgnoreCase))
            Expect(message.Values(group.Key).SequenceEqual(group.Select(f => f.Value)), $"{group.Key} is {string.Join(" ## ", group)}");
        var extra = message.Fields.Select(f => f.Name).Except(fields.Select(f => f.Name).Concat(_ours).Append("Date"), StringComparer.OrdinalIgnoreCase);
        Expect(!extra.Any(), $"no {string.Join(", ", extra)}");
        Expect(message.Body.AsSpan().SequenceEqual(body), $"the body has {body.Length} bytes, {message.Body.Length} came or they differ");
        // An empty chunked answer goes out with a length of 0 (docs/limits.md).
        Expect(body.Length == 0 || message.Chunked == chunked, $"the framing is {(chunked ? "chunked" : "a length")}");
    }
}
