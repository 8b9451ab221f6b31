using System.Runtime.CompilerServices;

namespace Alicia.Proxy.Connections;

/// <summary>A kept connection had ended before the request was written to it.</summary>
internal sealed class ConnectionGoneException() : UnsentException("The instance had closed the connection before the request.", null);

/// <summary>
/// A connection for HTTP/1.1 that tells its end between two requests from one in place of an answer. The HTTP client takes both for a kept connection that was idle for too long, and
/// sends a request without a body up to three times more, to the same instance and past every count and limit. Here the second is a failure, which goes to whoever decides about retries; and the
/// first, when it is seen in time, proves that nothing of the next request was sent.
/// </summary>
/// <param name="inner">The connection.</param>
/// <param name="untilAnswer">True for a connection that takes one request and may then be something else: only the beginning of the answer is watched for.</param>
internal sealed class AnswerWatch(Stream inner, bool untilAnswer = false) : ConnectionStream(inner)
{
    private bool _isOver;
    private bool _answerOwed;
    private bool _ended;
    private FairShare _share;

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = Inner.ReadAsync(buffer, cancellationToken);
        // A read of nothing waits for data and says nothing about the end.
        if (buffer.IsEmpty)
            return read;
        var waits = !read.IsCompletedSuccessfully;
        var isUsedUp = _share.IsUsedUp(waits);
        return waits ? AwaitedAsync(read) : isUsedUp ? LaterAsync(Came(read.Result)) : new ValueTask<int>(Came(read.Result));

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        async ValueTask<int> AwaitedAsync(ValueTask<int> pending) => Came(await pending);

        static async ValueTask<int> LaterAsync(int count)
        {
            await FairShare.ToPool();
            return count;
        }
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!Volatile.Read(ref _answerOwed) && !Volatile.Read(ref _isOver))
        {
            if (Volatile.Read(ref _ended))
                return ValueTask.FromException(new ConnectionGoneException());
            // What is written after the beginning of an answer is taken for a new request. It may be the rest of a body whose instance could not wait for it; if the end of the connection is
            // then the end of that answer, the answer looks cut.
            Volatile.Write(ref _answerOwed, true);
        }

        return Inner.WriteAsync(buffer, cancellationToken);
    }

    private int Came(int read)
    {
        if (read > 0)
        {
            Volatile.Write(ref _isOver, untilAnswer);
            Volatile.Write(ref _answerOwed, false);
            return read;
        }

        if (Volatile.Read(ref _answerOwed))
            throw new IOException("The instance closed the connection before it answered.");
        Volatile.Write(ref _ended, true);
        return 0;
    }
}
