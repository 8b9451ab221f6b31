using System.Text;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Live;
using Microsoft.AspNetCore.Http;

namespace Alicia.Proxy.UnitTests.Forwarding;

public sealed class CallerBodyTests
{
    private readonly DefaultHttpContext _context = new();
    private readonly ServiceLive _live = new("tts");

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(64)]
    public async Task What_was_read_comes_again_from_the_beginning_and_counts_once(int read)
    {
        var body = Body("0123456789", mostKept: 10);
        body.Begin(null);
        (await ReadAsync(body, read)).Should().Be("0123456789"[..Math.Min(read, 10)]);

        body.CanBeginAgain.Should().BeTrue();
        body.TryHold().Should().BeTrue();
        body.Begin(null);

        (await ReadAsync(body, 64)).Should().Be("0123456789");
        _live.BytesReceived.Should().Be(10);
    }

    [Fact]
    public async Task A_body_beyond_what_may_be_kept_goes_through_and_cannot_begin_again()
    {
        var body = Body("0123456789", mostKept: 9);
        body.Begin(null);

        (await ReadAsync(body, 64)).Should().Be("0123456789");

        body.CanBeginAgain.Should().BeFalse();
        body.TryHold().Should().BeFalse();
    }

    [Fact]
    public async Task While_it_is_held_the_attempt_that_copies_it_gets_nothing_out_of_it()
    {
        var body = Body("0123456789", mostKept: 4);
        body.Begin(null);
        await ReadAsync(body, 3);
        body.TryHold().Should().BeTrue();

        await body.Invoking(b => ReadAsync(b, 5)).Should().ThrowAsync<OperationCanceledException>();
        body.Begin(null);
        (await ReadAsync(body, 64)).Should().Be("0123456789");
    }

    [Fact]
    public async Task When_it_is_let_go_the_attempt_reads_on()
    {
        var body = Body("0123456789", mostKept: 4);
        body.Begin(null);
        await ReadAsync(body, 3);
        body.TryHold();
        body.LetGo();

        (await ReadAsync(body, 64)).Should().Be("3456789");
    }

    [Fact]
    public async Task A_body_that_is_being_read_cannot_be_held_and_a_read_that_was_given_up_has_taken_nothing()
    {
        var pipe = new System.IO.Pipelines.Pipe();
        _context.Request.Body = pipe.Reader.AsStream();
        var body = new CallerBody(_context.Request, _live, 100);
        body.Begin(null);
        using var given = new CancellationTokenSource();
        var pending = body.ReadAsync(new byte[8], given.Token).AsTask();

        (body.CanBeginAgain, body.TryHold()).Should().Be((false, false));
        await given.CancelAsync();
        await pending.Invoking(p => p).Should().ThrowAsync<OperationCanceledException>();
        body.TryHold().Should().BeTrue();
        body.Begin(null);
        await pipe.Writer.WriteAsync("whole"u8.ToArray());
        await pipe.Writer.CompleteAsync();
        (await ReadAsync(body, 64)).Should().Be("whole");
    }

    private CallerBody Body(string text, int mostKept)
    {
        _context.Request.Body = new MemoryStream(Encoding.ASCII.GetBytes(text));
        return new CallerBody(_context.Request, _live, mostKept);
    }

    /// <summary>Reads so many bytes, or to the end, three at a time.</summary>
    private static async Task<string> ReadAsync(Stream body, int count)
    {
        var text = "";
        var buffer = new byte[3];
        while (text.Length < count && await body.ReadAsync(buffer.AsMemory(0, Math.Min(3, count - text.Length))) is var read and > 0)
            text += Encoding.ASCII.GetString(buffer, 0, read);
        return text;
    }
}
