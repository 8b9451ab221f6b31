using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Alicia.Proxy.Sockets;

/// <summary>What the system has for sockets and the runtime has no words for: epoll(7), and a connect(2) that does not wait.</summary>
internal static unsafe partial class SystemCalls
{
    public const uint Readable = 0x001;
    public const uint Urgent = 0x002;
    public const uint Writable = 0x004;
    public const uint Failed = 0x008;
    public const uint HungUp = 0x010;
    public const uint PeerEnded = 0x2000;

    /// <summary>Says each change once, and not what is so.</summary>
    public const uint OnChange = 1u << 31;

    private const int CloseOnExec = 0x80000;
    private const int ControlAdd = 1;
    private const int ControlDelete = 2;
    private const int ControlModify = 3;
    private const int Interrupted = 4;
    private const int InProgress = 115;

    /// <summary>Where an event's 64 bits of ours begin: on x86-64 the structure is packed, elsewhere it is not.</summary>
    private static readonly int KeyAt = RuntimeInformation.ProcessArchitecture is Architecture.X64 ? 4 : 8;

    /// <summary>Bytes of one event.</summary>
    public static int EventBytes => KeyAt + sizeof(ulong);

    /// <exception cref="IOException">The system gives none.</exception>
    public static int CreateQueue()
    {
        var queue = epoll_create1(CloseOnExec);
        return queue >= 0 ? queue : throw new IOException($"epoll_create1: {Marshal.GetLastPInvokeErrorMessage()}.");
    }

    /// <summary>Has a queue tell of a socket.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="socket">The socket.</param>
    /// <param name="events">What to tell.</param>
    /// <param name="key">What to tell it with.</param>
    /// <param name="again">Whether the queue knows the socket already.</param>
    /// <exception cref="SocketException">The system has no room for it.</exception>
    public static void Watch(int queue, SafeHandle socket, uint events, ulong key, bool again)
    {
        var entry = stackalloc byte[EventBytes];
        *(uint*)entry = events;
        *(ulong*)(entry + KeyAt) = key;
        if (epoll_ctl(queue, again ? ControlModify : ControlAdd, socket, entry) != 0)
            throw new SocketException((int)SocketError.NoBufferSpaceAvailable, $"epoll_ctl: {Marshal.GetLastPInvokeErrorMessage()}.");
    }

    /// <summary>Has a queue tell of a socket no more. Behind this nobody but its owner holds it.</summary>
    public static void Forget(int queue, SafeHandle socket) => _ = epoll_ctl(queue, ControlDelete, socket, null);

    /// <summary>Waits for events.</summary>
    /// <returns>How many there are; 0 when a signal came between.</returns>
    /// <exception cref="IOException">The queue is no queue.</exception>
    public static int Wait(int queue, byte* events, int most)
    {
        var count = epoll_wait(queue, events, most, -1);
        if (count >= 0)
            return count;
        return Marshal.GetLastPInvokeError() == Interrupted ? 0 : throw new IOException($"epoll_wait: {Marshal.GetLastPInvokeErrorMessage()}.");
    }

    public static (uint Events, ulong Key) Event(byte* events, int index)
    {
        var entry = events + (index * EventBytes);
        return (*(uint*)entry, *(ulong*)(entry + KeyAt));
    }

    /// <summary>Begins to connect a socket that does not block.</summary>
    /// <returns>True when it is connected already.</returns>
    /// <exception cref="SocketException">It cannot be.</exception>
    public static bool BeginConnect(SafeHandle socket, EndPoint target)
    {
        var address = target.Serialize();
        fixed (byte* bytes = address.Buffer.Span)
        {
            if (connect(socket, bytes, address.Size) == 0)
                return true;
        }

        var error = Marshal.GetLastPInvokeError();
        return error is InProgress or Interrupted ? false : throw new SocketException((int)Meaning(error));
    }

    private static SocketError Meaning(int error) => error switch
    {
        1 or 13 => SocketError.AccessDenied,
        99 => SocketError.AddressNotAvailable,
        101 => SocketError.NetworkUnreachable,
        104 => SocketError.ConnectionReset,
        110 => SocketError.TimedOut,
        111 => SocketError.ConnectionRefused,
        112 => SocketError.HostDown,
        113 => SocketError.HostUnreachable,
        _ => SocketError.SocketError,
    };

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_ctl(int queue, int operation, SafeHandle socket, byte* entry);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_wait(int queue, byte* events, int most, int milliseconds);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int connect(SafeHandle socket, byte* address, int length);
}
