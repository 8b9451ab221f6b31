using System.IO.Pipelines;
using System.Text;
using Alicia.Proxy.Callers;
using Alicia.Proxy.Corpus;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Callers;

/// <summary>What the server gets of a connection's bytes.</summary>
public sealed class GuardedInputTests
{
    private const string Refused = "OPTIONS * HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";

    private readonly Pipe _transport = new(new PipeOptions(useSynchronizationContext: false, readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline, minimumSegmentSize: 64));
    private readonly FakeTimeProvider _time = new();
    private readonly GuardedInput _input;

    public GuardedInputTests() => _input = new GuardedInput(_transport.Reader, new CallerLimits(), new FeatureCollection(), _time);

    public static TheoryData<string> Names => [.. RequestCorpus.All.Where(c => c.Bytes.Length < 2000).Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task The_server_gets_the_good_requests_and_one_of_our_own_for_the_bad(string name)
    {
        var found = RequestCorpus.All.Single(c => c.Name == name);
        var input = found.Bytes.Replace("{host}", "s1.alicia.local", StringComparison.Ordinal);
        var good = StrictReading.Read(input, []).Ends.LastOrDefault();

        await SendAsync(input);
        await _transport.Writer.CompleteAsync();
        var given = await ReadToEndAsync();

        given.Should().Be(found.Status == 0 && good == input.Length ? input : input[..(int)good] + Refused);
        (_input.Refusal?.Status ?? 0).Should().Be(found.Status != 0 ? found.Status : good == input.Length ? 0 : 400);
    }

    /// <summary>However it is cut and however the server takes it, nothing else comes out.</summary>
    [Fact]
    public async Task Pieces_come_out_as_they_would_in_one()
    {
        var random = new Random(7);
        // A head that asks for another protocol is taken whole: what follows waits for the server to come back without it.
        foreach (var found in RequestCorpus.All.Where(c => c.Bytes.Length < 600 && !c.Bytes.Contains("Upgrade:", StringComparison.Ordinal)))
        {
            var input = found.Bytes.Replace("{host}", "s1.alicia.local", StringComparison.Ordinal);
            var good = (int)StrictReading.Read(input, []).Ends.LastOrDefault();
            var transport = new Pipe(new PipeOptions(useSynchronizationContext: false, minimumSegmentSize: 16));
            var guarded = new GuardedInput(transport.Reader, new CallerLimits(), new FeatureCollection(), _time);
            var sending = Task.Run(async () =>
            {
                for (var at = 0; at < input.Length;)
                {
                    var length = Math.Min(input.Length - at, random.Next(1, 40));
                    await transport.Writer.WriteAsync(Encoding.Latin1.GetBytes(input, at, length));
                    at += length;
                    if (length % 3 == 0)
                        await Task.Yield();
                }

                await transport.Writer.CompleteAsync();
            });
            var given = await ReadToEndAsync(guarded, new Random(8));
            await sending;

            if (found.Status == 0 && good == input.Length)
                given.Should().Be(input, found.Name);
            else
                (given == input[..good] + Refused || (given.StartsWith(input[..good], StringComparison.Ordinal) && given.EndsWith("\0\0\r\n\r\n", StringComparison.Ordinal)))
                    .Should().BeTrue($"{found.Name}: {given}");
        }
    }

    [Fact]
    public async Task A_head_waits_until_it_is_whole()
    {
        await SendAsync("GET / HTTP/1.1\r\nHost: a\r\n");
        var reading = _input.ReadAsync();
        reading.IsCompleted.Should().BeFalse();

        await SendAsync("\r\n");

        Text(await reading).Should().Be("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }

    [Fact]
    public async Task A_bad_chunk_that_comes_later_breaks_the_body_off()
    {
        await SendAsync("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
        var first = await _input.ReadAsync();
        Text(first).Should().EndWith("5\r\nhel");
        _input.AdvanceTo(first.Buffer.End);

        await SendAsync("lo\n0\r\n\r\n");
        var second = await _input.ReadAsync();
        Text(second).Should().Be("lo");
        _input.AdvanceTo(second.Buffer.End);

        Text(await _input.ReadAsync()).Should().Be("\0\0\r\n\r\n");
        _input.Refusal!.Status.Should().Be(400);
    }

    [Fact]
    public async Task The_end_of_a_body_waits_for_its_trailers()
    {
        await SendAsync("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: 1\r\n");
        var first = await _input.ReadAsync();
        Text(first).Should().EndWith("1\r\nx\r\n");
        _input.AdvanceTo(first.Buffer.End);
        var reading = _input.ReadAsync();
        reading.IsCompleted.Should().BeFalse();

        await SendAsync("\r\n");

        Text(await reading).Should().Be("0\r\nX: 1\r\n\r\n");
    }

    [Fact]
    public async Task After_an_upgrade_bytes_are_not_looked_at()
    {
        await SendAsync("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n\0\n\r");
        var head = await _input.ReadAsync();
        Text(head).Should().EndWith("\r\n\r\n");
        _input.AdvanceTo(head.Buffer.End);
        _input.Upgraded();

        var tunnelled = await _input.ReadAsync();
        Text(tunnelled).Should().Be("\0\n\r");
        _input.AdvanceTo(tunnelled.Buffer.End);
        await SendAsync("\n\n");

        Text(await _input.ReadAsync()).Should().Be("\n\n");
    }

    [Fact]
    public async Task Without_the_upgrade_they_are_the_next_request()
    {
        await SendAsync("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n\0\n\r");
        var head = await _input.ReadAsync();
        _input.AdvanceTo(head.Buffer.End);

        Text(await _input.ReadAsync()).Should().Be(Refused);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHo")]
    [InlineData("G")]
    public async Task A_head_that_does_not_come_to_its_end_is_refused_in_time(string begun)
    {
        await SendAsync(begun);
        var reading = _input.ReadAsync().AsTask();
        _time.Advance(TimeSpan.FromSeconds(9));
        await SendAsync("x");
        reading.IsCompleted.Should().BeFalse("trickling is not punished before the time is over");

        _time.Advance(TimeSpan.FromSeconds(1));

        Text(await reading).Should().Be(Refused, "and does not make it longer");
        _input.Refusal!.Status.Should().Be(408);
    }

    [Fact]
    public async Task A_connection_on_which_nothing_is_said_ends_without_a_word()
    {
        var reading = _input.ReadAsync().AsTask();

        _time.Advance(TimeSpan.FromSeconds(10));

        var result = await reading;
        (result.IsCompleted, result.Buffer.IsEmpty).Should().Be((true, true));
        _input.Refusal.Should().BeNull();
    }

    [Fact]
    public async Task Between_requests_and_in_bodies_the_clock_of_heads_does_not_run()
    {
        await SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
        _input.AdvanceTo((await _input.ReadAsync()).Buffer.End);
        var body = _input.ReadAsync().AsTask();
        _time.Advance(TimeSpan.FromMinutes(5));
        body.IsCompleted.Should().BeFalse();
        await SendAsync("ab");
        _input.AdvanceTo((await body).Buffer.End);

        var next = _input.ReadAsync().AsTask();
        _time.Advance(TimeSpan.FromMinutes(5));

        next.IsCompleted.Should().BeFalse("how long a connection may be idle is the server's to say");
    }

    [Fact]
    public async Task The_server_may_stop_waiting()
    {
        await SendAsync("GET / HTTP/1.1\r\n");
        var reading = _input.ReadAsync().AsTask();

        _input.CancelPendingRead();

        (await reading).IsCanceled.Should().BeTrue();
    }

    [Fact]
    public async Task Each_head_has_a_time_of_its_own()
    {
        var timeout = new CallerLimits().Current.HeadTimeout;
        var first = _input.ReadAsync();
        _time.Advance(timeout * 0.8);
        await SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        _input.AdvanceTo((await first).Buffer.End);

        var second = _input.ReadAsync();
        _time.Advance(timeout * 100);
        second.IsCompleted.Should().BeFalse("between requests the server's own time counts");
        await SendAsync("GET / HT");
        _time.Advance(timeout * 0.8);
        second.IsCompleted.Should().BeFalse("this head began a moment ago");
        _time.Advance(timeout * 0.3);

        Text(await second).Should().Be(Refused);
        _input.Refusal!.Status.Should().Be(408);
    }

    private static string Text(ReadResult result) => Encoding.Latin1.GetString(System.Buffers.BuffersExtensions.ToArray(result.Buffer));

    private async Task SendAsync(string text) => await _transport.Writer.WriteAsync(Encoding.Latin1.GetBytes(text));

    private Task<string> ReadToEndAsync() => ReadToEndAsync(_input, null);

    /// <summary>Takes what there is, or parts of it, as a server does that reads line by line.</summary>
    private static async Task<string> ReadToEndAsync(GuardedInput input, Random? random)
    {
        var all = new StringBuilder();
        for (var turns = 0; turns < 10_000; turns++)
        {
            var result = await input.ReadAsync();
            var length = result.Buffer.Length;
            var taken = random is null || length == 0 ? length : random.NextInt64(length + 1);
            var part = result.Buffer.Slice(0, taken);
            all.Append(Encoding.Latin1.GetString(System.Buffers.BuffersExtensions.ToArray(part)));
            input.AdvanceTo(part.End, random?.Next(2) == 0 ? part.End : result.Buffer.End);
            if (taken == length && result.IsCompleted)
                return all.ToString();
        }

        throw new InvalidOperationException("no end after ten thousand readings");
    }
}
