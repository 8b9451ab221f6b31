using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>A message as it stood on the wire: nothing joined, nothing decoded but the chunks.</summary>
/// <param name="StartLine">Request or status line.</param>
/// <param name="Fields">Name and value of each line; values without the white space around them. Latin-1.</param>
/// <param name="Body">Without framing.</param>
/// <param name="Chunked">Whether it came in chunks.</param>
internal sealed record WireMessage(string StartLine, IReadOnlyList<(string Name, string Value)> Fields, byte[] Body, bool Chunked)
{
    public IReadOnlyList<string> Values(string name) =>
        [.. Fields.Where(f => f.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Select(f => f.Value)];
}

/// <summary>
/// A TCP connection that messages are read from one after the other, for tests with many of them or with bodies too large to keep: what
/// <see cref="RawConnection"/> keeps whole, this forgets.
/// </summary>
internal sealed class Wire(Socket socket) : IDisposable
{
    private readonly byte[] _buffer = new byte[256 * 1024];
    private int _start;
    private int _end;

    public Socket Socket { get; } = socket;

    public static async Task<Wire> ConnectAsync(Uri address)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(address.Host, address.Port);
        return new Wire(socket);
    }

    public Task SendAsync(string text) => SendAsync(Encoding.Latin1.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        using var late = new CancellationTokenSource(Deadlines.Wait);
        while (!bytes.IsEmpty)
            bytes = bytes[await Socket.SendAsync(bytes, late.Token)..];
    }

    /// <summary>A message up to the end of its fields; null at an orderly end of the connection.</summary>
    /// <exception cref="EndOfStreamException">The connection ended inside it.</exception>
    public async Task<WireMessage?> ReadHeadAsync()
    {
        if (await LineAsync(endIsFine: true) is not { } startLine)
            return null;
        return new WireMessage(startLine, await FieldsAsync(), [], false);
    }

    /// <param name="bodyless">True for the answer to a HEAD.</param>
    /// <inheritdoc cref="ReadHeadAsync"/>
    public async Task<WireMessage?> ReadMessageAsync(bool bodyless = false)
    {
        if (await ReadHeadAsync() is not { } head)
            return null;
        var status = head.StartLine.StartsWith("HTTP/", StringComparison.Ordinal) ? head.StartLine[9..12] : "";
        if (bodyless || status is "204" or "304")
            return head;
        using var body = new MemoryStream();
        if (head.Values("Transfer-Encoding") is ["chunked"])
        {
            while (true)
            {
                var size = int.Parse((await LineAsync())!.Split(';')[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                if (size == 0)
                {
                    await FieldsAsync();
                    return head with { Body = body.ToArray(), Chunked = true };
                }

                await TakeAsync(size, body);
                await LineAsync();
            }
        }

        if (head.Values("Content-Length") is [var length])
            await TakeAsync(int.Parse(length, CultureInfo.InvariantCulture), body);
        return head with { Body = body.ToArray() };
    }

    /// <summary>The next bytes, as many as there are and at most <paramref name="limit"/>; empty at the end. Good until the next reading.</summary>
    public async Task<ReadOnlyMemory<byte>> ReadSomeAsync(int limit = int.MaxValue)
    {
        if (_start == _end && !await FillAsync())
            return default;
        var some = _buffer.AsMemory(_start, Math.Min(limit, _end - _start));
        _start += some.Length;
        return some;
    }

    /// <exception cref="EndOfStreamException">The connection ended before.</exception>
    public async Task<byte[]> ReadExactlyAsync(int count)
    {
        using var into = new MemoryStream();
        await TakeAsync(count, into);
        return into.ToArray();
    }

    /// <summary>A line without its end.</summary>
    public async Task<string?> LineAsync(bool endIsFine = false)
    {
        while (true)
        {
            var at = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n"u8);
            if (at >= 0)
            {
                var line = Encoding.Latin1.GetString(_buffer, _start, at);
                _start += at + 2;
                return line;
            }

            if (!await FillAsync())
                return endIsFine && _start == _end ? null : throw new EndOfStreamException("the connection ended inside a message");
        }
    }

    public void Dispose() => Socket.Dispose();

    private async Task<List<(string, string)>> FieldsAsync()
    {
        var fields = new List<(string, string)>();
        while (await LineAsync() is { Length: > 0 } line)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            fields.Add((line[..colon], line[(colon + 1)..].Trim(' ', '\t')));
        }

        return fields;
    }

    private async Task TakeAsync(int count, MemoryStream into)
    {
        while (count > 0)
        {
            if (_start == _end && !await FillAsync())
                throw new EndOfStreamException("the connection ended inside a body");
            var part = Math.Min(count, _end - _start);
            into.Write(_buffer, _start, part);
            _start += part;
            count -= part;
        }
    }

    private async Task<bool> FillAsync()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        using var late = new CancellationTokenSource(Deadlines.Wait);
        var read = await Socket.ReceiveAsync(_buffer.AsMemory(_end), late.Token);
        _end += read;
        return read > 0;
    }
}

/// <summary>Accepts connections on loopback and runs a script on each; its end closes the connection.</summary>
internal sealed class WireServer : IAsyncDisposable
{
    private readonly Func<Wire, Task> _script;
    private readonly Acceptance _acceptance;
    private int _accepted;

    private WireServer(Func<Wire, Task> script)
    {
        _script = script;
        _acceptance = new Acceptance(ServeAsync);
    }

    public int Port => _acceptance.Port;

    /// <summary>Connections so far.</summary>
    public int Accepted => Volatile.Read(ref _accepted);

    public static WireServer Start(Func<Wire, Task> script) => new(script);

    public ValueTask DisposeAsync() => _acceptance.DisposeAsync();

    private async Task ServeAsync(Socket socket)
    {
        Interlocked.Increment(ref _accepted);
        socket.NoDelay = true;
        using var wire = new Wire(socket);
        try
        {
            await _script(wire);
        }
        catch (Exception gone) when (gone is SocketException or OperationCanceledException or ObjectDisposedException or EndOfStreamException)
        {
            // The proxy had enough: part of such tests, and the caller's side shows what came of it.
        }
    }
}
