using Alicia.Proxy.Corpus;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Strictness;

/// <summary>
/// Every request of the corpus over a socket to a real proxy, in one piece and cut at a point of its own, with an instance that keeps every byte. What is ill-formed is refused and leaves no trace there; what
/// is well-formed arrives once, as it was meant. (Every case cut at every position is in the unit tests of the parser, where that takes no time.)
/// </summary>
[Trait("Depends", "forwarder")]
public sealed class CorpusTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    private const int AtOnce = 24;

    [Fact]
    public async Task Ill_formed_requests_leave_no_trace_at_the_instance_and_well_formed_ones_arrive_once()
    {
        await using var upstream = new RecordingUpstream();
        var host = await fixture.ServiceAsync("127.0.0.1", upstream.Port);
        var random = new Random(11);
        var sendings = RequestCorpus.All.SelectMany(c => new[] { (Case: c, Cut: 0), (Case: c, Cut: random.Next(1, c.Bytes.Length)) }).Select((s, i) => (s.Case, s.Cut, Mark: $"m{i}x")).ToList();
        using var slots = new SemaphoreSlim(AtOnce);

        var answers = await Task.WhenAll(sendings.Select(async sending =>
        {
            await slots.WaitAsync();
            try
            {
                return await SendAsync(sending.Case, Marked(sending.Case, sending.Mark).Replace("{host}", host, StringComparison.Ordinal), sending.Cut);
            }
            finally
            {
                slots.Release();
            }
        }));

        // What came of requests that were broken off may still be on its way: a request behind them fences it off.
        (await fixture.SendAsync($"GET /last HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).Status.Should().Be(200);
        var received = upstream.Received;
        var arrived = received.SelectMany(ForwardedRequests.Of).ToLookup(MarkOf);
        var faults = new List<string>();
        for (var i = 0; i < sendings.Count; i++)
        {
            var ((found, cut, mark), answer) = (sendings[i], answers[i]);
            var statuses = Statuses(answer.Text);
            var bodies = found.Bodies.Select(b => b.Replace("{host}", host, StringComparison.Ordinal)).ToList();
            var at = $"{found.Name}, cut at {cut}: {string.Join(", ", statuses)} ({answer.End})";
            if (!arrived[mark].Select(r => r.Body).Order().SequenceEqual(bodies.Order()))
                faults.Add($"{at}; arrived: {string.Join(" | ", arrived[mark].Select(r => r.Body))}");
            if (statuses.Count(s => s == 200) != bodies.Count)
                faults.Add($"{at}: not every good request was answered");
            if (found.Status != 0 && (statuses.LastOrDefault() != found.Status || answer.End != RawEnd.Closed))
                faults.Add($"{at}: was to be refused with {found.Status}, and to read so");
            if (found.Status == 0 && answer.Text.Contains(" 400 ", StringComparison.Ordinal) && !found.Name.StartsWith("bytes behind", StringComparison.Ordinal))
                faults.Add($"{at}: was well-formed");
        }

        faults.Should().BeEmpty();
        arrived.Where(r => !r.Key.StartsWith('m')).Select(r => r.First().Head.Split(' ')[1]).Should().Equal("/last");
        received.Select(ForwardedRequests.Rest).Where(rest => rest.Contains("smuggled", StringComparison.Ordinal)).Should().BeEmpty();
        fixture.Proxy.Process.Errors.Where(line => line.Contains(" ERR ", StringComparison.Ordinal) || line.Contains(" WRN ", StringComparison.Ordinal)).Should().BeEmpty("callers' faults are nobody's to look into");
    }

    /// <summary>Cut at every position, over sockets, for one case of each kind.</summary>
    [Theory]
    [InlineData("a length and chunks")]
    [InlineData("chunk extension ';'")]
    [InlineData("bare LF in place of the last line")]
    [InlineData("a bad request behind chunks")]
    [InlineData("chunk extensions")]
    public async Task However_it_is_cut(string name)
    {
        var found = RequestCorpus.All.Single(c => c.Name == name);
        await using var upstream = new RecordingUpstream();
        var host = await fixture.ServiceAsync("127.0.0.1", upstream.Port);
        var request = found.Bytes.Replace("{host}", host, StringComparison.Ordinal);
        using var slots = new SemaphoreSlim(AtOnce);

        var answers = await Task.WhenAll(Enumerable.Range(1, request.Length - 1).Select(async cut =>
        {
            await slots.WaitAsync();
            try
            {
                return await SendAsync(found, request, cut);
            }
            finally
            {
                slots.Release();
            }
        }));

        await fixture.SendAsync($"GET /last HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        var bodies = upstream.Received.SelectMany(ForwardedRequests.Of).Where(r => !r.Head.StartsWith("GET /last ", StringComparison.Ordinal)).Select(r => r.Body).ToList();
        bodies.Should().HaveCount(answers.Length * found.Bodies.Length);
        bodies.Except(found.Bodies).Should().BeEmpty();
        if (found.Status != 0)
            answers.Select(a => Statuses(a.Text).LastOrDefault()).Should().OnlyContain(s => s == found.Status);
    }

    /// <summary>The answer to a refused request: the proxy's usual document, then the end of the connection.</summary>
    [Fact]
    public async Task A_refusal_says_why_and_ends_the_connection_behind_the_answers_before_it()
    {
        await using var upstream = new RecordingUpstream();
        var host = await fixture.ServiceAsync("127.0.0.1", upstream.Port);

        var answer = await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\n\r\nGET / HTTP/1.1\r\nHost: {host}\r\nX : 1\r\n\r\n");

        var second = new RawAnswer(answer.Text[answer.Text.IndexOf("HTTP/1.1 400", StringComparison.Ordinal)..], answer.End);
        Errors.ProxyAnswerTests.AssertProblem(second, new Errors.Expected(400, "http_request_error", 14));
        second.Body.Should().Contain("A blank stands before a field's colon.");
        second.Values("Connection").Should().Equal("close");
        answer.Text.Should().StartWith("HTTP/1.1 200 OK\r\n");
        answer.End.Should().Be(RawEnd.Closed);
    }

    /// <summary>Sends in two parts, and reads to the end of the connection where it has to end, else to the last answer.</summary>
    private async Task<RawAnswer> SendAsync(RequestCase found, string request, int cut)
    {
        using var connection = await RawConnection.ConnectAsync(fixture.Address);
        try
        {
            if (cut > 0)
            {
                await connection.SendAsync(request[..cut]);
                // The cut's place in time, not a wait for something to happen: without it both parts would come in one.
                await Task.Delay(1);
            }

            await connection.SendAsync(request[cut..]);
        }
        catch (System.Net.Sockets.SocketException)
        {
            // Refused before the rest was sent.
        }

        if (found.Status != 0)
        {
            var (text, end) = await connection.ReadToEndAsync();
            return new RawAnswer(text, end);
        }

        var answers = "";
        var last = RawEnd.Found;
        foreach (var _ in found.Bodies)
        {
            (var one, last) = await connection.ReadUntilAsync("\r\n\r\nok");
            answers += one;
        }

        return new RawAnswer(answers, last);
    }

    /// <summary>Adds a field to every request, by which the instance's record is told apart; to the first only where a body holds what looks like another.</summary>
    private static string Marked(RequestCase found, string mark) =>
        new System.Text.RegularExpressions.Regex(" HTTP/1\\.[01]\r\n").Replace(found.Bytes, match => $"{match.Value}X-Case: {mark}\r\n", found.Bodies.Contains(RequestCorpus.RequestAsBody) ? 1 : int.MaxValue);

    private static string MarkOf(ForwardedRequests.Request request) =>
        request.Head.Split("\r\n").FirstOrDefault(l => l.StartsWith("X-Case: ", StringComparison.OrdinalIgnoreCase))?["X-Case: ".Length..] ?? "";

    private static List<int> Statuses(string text) =>
        [.. System.Text.RegularExpressions.Regex.Matches(text, "HTTP/1\\.1 ([0-9]{3}) ").Select(m => int.Parse(m.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture))];
}
