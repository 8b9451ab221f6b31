using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Sockets;

namespace Alicia.Proxy.UnitTests.Sockets;

/// <summary>Two ends of one connection: ours, and an ordinary socket.</summary>
internal sealed class SocketPair : IDisposable
{
    private SocketPair(ReadySocket near, Socket far) => (Near, Far) = (near, far);

    public ReadySocket Near { get; }

    public Socket Far { get; }

    /// <summary>Opens a connection from the far end, as callers do.</summary>
    public static SocketPair Open(bool usesLoop = true)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        far.Connect(listener.LocalEndPoint!);
        var accepted = listener.Accept();
        accepted.NoDelay = true;
        return new SocketPair(new ReadySocket(accepted, usesLoop), far);
    }

    /// <summary>Receives until so many bytes are there, the end, or an error.</summary>
    public async Task<byte[]> NearReceivesAsync(int bytes, int piece = 4096)
    {
        var all = new List<byte>();
        var buffer = new byte[piece];
        while (all.Count < bytes)
        {
            var count = Near.Receive(buffer, out var error);
            if (error == SocketError.WouldBlock)
            {
                await Near.ReadableAsync().AsTask().WaitAsync(Enough);
                continue;
            }

            if (count == 0)
                break;
            all.AddRange(buffer.AsSpan(0, count));
        }

        return [.. all];
    }

    public async Task<byte[]> FarReceivesAsync(int bytes)
    {
        using var late = new CancellationTokenSource(Enough);
        var all = new byte[bytes];
        var count = 0;
        while (count < bytes && await Far.ReceiveAsync(all.AsMemory(count), late.Token) is var more and > 0)
            count += more;
        return all[..count];
    }

    public static byte[] Random(int seed, int bytes)
    {
        var all = new byte[bytes];
        new Random(seed).NextBytes(all);
        return all;
    }

    public static async Task Until(string condition, Func<bool> holds)
    {
        using var late = new CancellationTokenSource(Enough);
        while (!holds())
        {
            late.IsCancellationRequested.Should().BeFalse(condition);
            await Task.Delay(1);
        }
    }

    public static TimeSpan Enough => TimeSpan.FromSeconds(20);

    public void Dispose()
    {
        Near.Dispose();
        Far.Dispose();
    }
}
