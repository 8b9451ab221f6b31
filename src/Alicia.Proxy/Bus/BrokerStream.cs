using System.Net;
using System.Net.Sockets;
using MQTTnet.Channel;

namespace Alicia.Proxy.Bus;

/// <summary>
/// The connection to the broker, kept out of the requests' way. The proxy has socket completions run on the thread that noticed them, which serves requests best;
/// a storm of messages taken apart on that thread would hold up every request whose socket it serves too. So this reads much at a time, lets more gather when it
/// comes fast, and hands it on from the thread pool.
/// </summary>
internal sealed class BrokerStream(Socket socket, TimeProvider time) : Stream
{
    private const int BufferBytes = 64 * 1024;

    /// <summary>Reads that follow each other closer than this let messages gather for as long: a thousand wake-ups a second instead of one a message.</summary>
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(1);

    /// <summary>Reads of what was gathered between two looks at whether somebody else wants the core: the client library reads a message in two or three.</summary>
    private const uint YieldEvery = 4;

    private readonly byte[] _buffer = new byte[BufferBytes];
    private int _from;
    private int _to;
    private long _filledAt;
    private uint _reads;

    /// <summary>Connects in the client library's stead.</summary>
    internal sealed class Provider(TimeProvider time) : IMqttClientStreamProvider
    {
        public async Task<Stream> ConnectAsync(EndPoint brokerEndPoint, CancellationToken cancellationToken)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(brokerEndPoint, cancellationToken);
                return new BrokerStream(socket, time);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty)
            return 0;
        if (_from == _to)
        {
            if (time.GetElapsedTime(_filledAt) < Gathering)
                await Task.Delay(Gathering, time, cancellationToken);
            _from = 0;
            _to = await socket.ReceiveAsync(_buffer, cancellationToken);
            // From here on in the pool, whichever thread noticed that there is something to read.
            await Task.Yield();
            _filledAt = time.GetTimestamp();
        }
        else if (++_reads % YieldEvery == 0)
        {
            // What was gathered is many messages, a few microseconds each, and no request is to wait for all of them: whoever is ready to run on this core goes first. The system does not
            // interrupt a thread for an equal one before it has had its slice, which is milliseconds. It costs a third of a microsecond when nobody waits.
            Thread.Yield();
        }

        var count = Math.Min(buffer.Length, _to - _from);
        _buffer.AsMemory(_from, count).CopyTo(buffer);
        _from += count;
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (!buffer.IsEmpty)
            buffer = buffer[await socket.SendAsync(buffer, cancellationToken)..];
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            socket.Dispose();
        base.Dispose(disposing);
    }
}
