using System.Text;
using Alicia.Proxy.Http1;

namespace Alicia.Proxy.UnitTests.Http1;

public sealed class StrictResponsesTests
{
    private const string Request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// <summary>Whole answers, one after the other on one connection, cut at every position and into bytes.</summary>
    [Fact]
    public void Well_formed_answers_pass_however_they_are_cut()
    {
        string[] answers =
        [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 204 None\r\nX:\r\n\r\n", "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX: 1\r\n\r\n",
            "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 304 Not\r\nContent-Length: 99\r\n\r\n", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
        ];
        foreach (var answer in answers)
        {
            for (var cut = 0; cut < answer.Length; cut++)
            {
                var responses = new StrictResponses();
                foreach (var next in new[] { answer, answers[0] })
                {
                    responses.Sent(Encoding.ASCII.GetBytes(Request));
                    Feed(responses, next[..Math.Min(cut, next.Length)]).Should().BeNull();
                    Feed(responses, next[Math.Min(cut, next.Length)..]).Should().BeNull();
                }
            }

            var slow = new StrictResponses();
            slow.Sent(Encoding.ASCII.GetBytes(Request));
            foreach (var c in answer)
                Feed(slow, c.ToString()).Should().BeNull();
        }
    }

    [Fact]
    public void An_answer_to_HEAD_has_no_body()
    {
        var responses = new StrictResponses();
        responses.Sent("HEAD / HTTP/1.1\r\n\r\n"u8);
        Feed(responses, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").Should().BeNull();
        responses.Sent(Encoding.ASCII.GetBytes(Request));

        Feed(responses, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").Should().BeNull();
    }

    /// <summary>The client writes such a body after the answer, and then uses the connection again.</summary>
    [Theory]
    [InlineData("Content-Length: 19\r\n\r\n", "HEAD / HTTP/1.1\r\n\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n", "13\r\nHEAD / HTTP/1.1\r\n\r\n\r\n0\r\n\r\n")]
    public void A_body_that_goes_out_behind_its_answer_is_no_request_whatever_it_looks_like(string framing, string body)
    {
        var head = "POST / HTTP/1.1\r\nHost: a\r\n" + framing;
        for (var cut = 1; cut < head.Length + body.Length; cut++)
        {
            var responses = new StrictResponses();
            var all = Encoding.ASCII.GetBytes(head + body);
            var early = Math.Max(cut, head.Length);
            responses.Sent(all.AsSpan(0, cut));
            responses.Sent(all.AsSpan(cut, early - cut));
            Feed(responses, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n").Should().BeNull();
            responses.Sent(all.AsSpan(early));

            responses.Sent(Encoding.ASCII.GetBytes(Request));
            Feed(responses, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").Should().BeNull($"cut at {cut}");
            responses.Sent("HEAD / HTTP/1.1\r\n\r\n"u8);
            Feed(responses, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").Should().BeNull($"cut at {cut}");
            responses.Sent(Encoding.ASCII.GetBytes(Request));
            Feed(responses, "HTTP/1.1 204 None\r\n\r\n").Should().BeNull($"cut at {cut}");
        }
    }

    [Fact]
    public void What_nobody_asked_for_is_a_fault_but_for_what_came_with_the_answer_before()
    {
        var responses = new StrictResponses();
        Feed(responses, "HTTP/1.1 200 OK\r\n").Should().NotBeNull();
        responses.Sent(Encoding.ASCII.GetBytes(Request));

        Feed(responses, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n").Should().BeNull("the client sees it and closes");
        Feed(responses, "Content-Length: 0\r\n\r\n").Should().NotBeNull();
    }

    [Fact]
    public void After_a_switch_of_protocols_nothing_is_looked_at()
    {
        var responses = new StrictResponses();
        responses.Sent(Encoding.ASCII.GetBytes(Request));

        Feed(responses, "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n\0\n\r").Should().BeNull();
        responses.Sent("\0\0"u8);
        Feed(responses, "\n\n\0").Should().BeNull();
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\n")]
    [InlineData("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nX : a\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n")]
    public void A_fault_is_found_however_it_is_cut(string answer)
    {
        for (var cut = 0; cut < answer.Length; cut++)
        {
            var responses = new StrictResponses();
            responses.Sent(Encoding.ASCII.GetBytes(Request));

            (Feed(responses, answer[..cut]) ?? Feed(responses, answer[cut..])).Should().NotBeNull($"cut at {cut}");
        }
    }

    [Fact]
    public void A_line_without_an_end_is_not_collected_for_ever()
    {
        var responses = new StrictResponses();
        responses.Sent(Encoding.ASCII.GetBytes(Request));
        var part = new string('x', 1000);

        Enumerable.Range(0, 200).Select(_ => Feed(responses, part)).Should().Contain("a line without an end");
    }

    private static string? Feed(StrictResponses responses, string text) => responses.Received(Encoding.Latin1.GetBytes(text));
}
