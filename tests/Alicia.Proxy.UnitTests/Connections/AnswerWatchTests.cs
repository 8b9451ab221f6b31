using System.IO.Pipelines;
using System.Text;
using Alicia.Proxy.Connections;

namespace Alicia.Proxy.UnitTests.Connections;

/// <summary>Which end of a connection is that of an idle one, and which stands in place of an answer.</summary>
public sealed class AnswerWatchTests
{
    private const string Request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    private const string Answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    private readonly Pipe _fromInstance = new();
    private readonly AnswerWatch _watch;

    public AnswerWatchTests() => _watch = new AnswerWatch(new Connection(_fromInstance.Reader.AsStream()));

    [Fact]
    public async Task An_end_between_two_requests_is_an_end_and_the_next_request_is_not_sent()
    {
        await ExchangeAsync();
        await _fromInstance.Writer.CompleteAsync();

        (await ReadAsync()).Should().Be(0);
        await this.Invoking(_ => WriteAsync(Request)).Should().ThrowAsync<UnsentException>();
    }

    [Fact]
    public async Task An_end_in_place_of_the_first_answer_is_a_failure()
    {
        await WriteAsync(Request);
        await _fromInstance.Writer.CompleteAsync();

        await this.Invoking(_ => ReadAsync()).Should().ThrowAsync<IOException>();
    }

    /// <summary>An idle connection is read from before it is used again; one that goes from hand to hand is not.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_end_in_place_of_a_later_answer_is_a_failure(bool readFirst)
    {
        await ExchangeAsync();
        var ahead = readFirst ? ReadAsync() : null;
        await WriteAsync(Request);
        await _fromInstance.Writer.CompleteAsync();

        await this.Invoking(_ => ahead ?? ReadAsync()).Should().ThrowAsync<IOException>();
    }

    private async Task ExchangeAsync()
    {
        await WriteAsync(Request);
        await _fromInstance.Writer.WriteAsync(Encoding.ASCII.GetBytes(Answer));
        (await ReadAsync()).Should().Be(Answer.Length);
    }

    private Task WriteAsync(string text) => _watch.WriteAsync(Encoding.ASCII.GetBytes(text)).AsTask();

    private Task<int> ReadAsync() => _watch.ReadAsync(new byte[1000]).AsTask();

    /// <summary>Reads come from the instance, writes go nowhere.</summary>
    private sealed class Connection(Stream reads) : MemoryStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => reads.ReadAsync(buffer, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => ValueTask.CompletedTask;
    }
}
