using System.Runtime.CompilerServices;
using Alicia.Proxy.Http1;

namespace Alicia.Proxy.Connections;

/// <summary>A connection to an instance that speaks HTTP/1.1 by the letter, or fails: what the HTTP client reads of it has passed <see cref="StrictResponses"/>.</summary>
internal sealed class StrictAnswers(Stream inner) : ConnectionStream(inner)
{
    private readonly StrictResponses _responses = new();

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var reading = Inner.ReadAsync(buffer, cancellationToken);
        if (!reading.IsCompletedSuccessfully)
            return AwaitedAsync(reading, buffer);
        var read = reading.Result;
        return FaultOf(buffer.Span[..read]) is { } fault ? ValueTask.FromException<int>(fault) : new ValueTask<int>(read);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // Bytes behind the last answer would be read as that to this request. The HTTP client looks for them when it takes a connection out of its pool, but not when it hands one straight to a request that waits.
        if (_responses.IsBetweenAnswers && HasUnread)
            return ValueTask.FromException(new ConnectionGoneException());
        _responses.Sent(buffer.Span);
        return Inner.WriteAsync(buffer, cancellationToken);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> AwaitedAsync(ValueTask<int> reading, Memory<byte> buffer)
    {
        var read = await reading;
        return FaultOf(buffer.Span[..read]) is { } fault ? throw fault : read;
    }

    /// <summary>What the client gets in place of the bytes: it closes the connection then, and says of the exchange what it says of an answer that it cannot read itself.</summary>
    private HttpIOException? FaultOf(ReadOnlySpan<byte> bytes) =>
        _responses.Received(bytes) is { } fault ? new HttpIOException(HttpRequestError.InvalidResponse, $"The instance sent {fault}.") : null;
}
