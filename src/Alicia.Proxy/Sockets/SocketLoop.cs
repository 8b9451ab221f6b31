namespace Alicia.Proxy.Sockets;

/// <summary>
/// A thread that waits for what happens on sockets and has those go on that wait for it. There is one for each core, for as long as the process lives.
/// </summary>
/// <remarks>
/// Of all events of one go note is taken before anything is done about any of them: a request that came together with the end of a kept connection finds that connection ended.
/// </remarks>
internal sealed class SocketLoop
{
    /// <summary>Events in one go. More are a longer time in which nothing new is seen, fewer are more calls; with 8 a call's share is a sixth of a microsecond.</summary>
    private const int Most = 8;

    private static readonly Lazy<SocketLoop[]> All = new(() => [.. Enumerable.Range(0, Environment.ProcessorCount).Select(i => new SocketLoop(i))]);
    private static int _turn;

    [ThreadStatic]
    private static SocketLoop? _ofThisThread;

    private readonly int _queue = SystemCalls.CreateQueue();
    private readonly Lock _lock = new();
    private readonly Stack<int> _free = [];
    private ReadySocket?[] _sockets = new ReadySocket?[64];
    private uint _generation;
    private int _used;

    private SocketLoop(int index) =>
        new Thread(Run) { IsBackground = true, Name = $"Sockets {index}" }.UnsafeStart();

    /// <summary>True where the system has what this needs.</summary>
    public static bool IsSupported { get; } = OperatingSystem.IsLinux();

    /// <summary>Starts the loops, so that what they lack is known before the first connection.</summary>
    /// <exception cref="IOException">The system gives no queue of events.</exception>
    public static void Start()
    {
        if (IsSupported)
            _ = All.Value;
    }

    /// <summary>The loop for another socket: this thread's own, so that what belongs together stays together, or each in turn.</summary>
    public static SocketLoop Next()
    {
        if (_ofThisThread is { } own)
            return own;
        var all = All.Value;
        return all[(int)((uint)Interlocked.Increment(ref _turn) % (uint)all.Length)];
    }

    /// <summary>Gives a socket a key, by which events find it.</summary>
    public void Add(ReadySocket socket)
    {
        lock (_lock)
        {
            if (!_free.TryPop(out var place))
            {
                place = _used++;
                if (place == _sockets.Length)
                {
                    var larger = new ReadySocket?[place * 2];
                    _sockets.CopyTo(larger, 0);
                    Volatile.Write(ref _sockets, larger);
                }
            }

            // A late event of a socket that had the place before must not be taken for one of this.
            socket.Key = ((ulong)++_generation << 32) | (uint)place;
            Volatile.Write(ref _sockets[place], socket);
        }
    }

    /// <summary>Has the loop tell a socket what happens on it.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The system has no room for it.</exception>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    public void Watch(ReadySocket socket, bool writing, bool again) =>
        SystemCalls.Watch(_queue, socket.Socket.SafeHandle,
            SystemCalls.Readable | SystemCalls.PeerEnded | SystemCalls.Urgent | SystemCalls.OnChange | (writing ? SystemCalls.Writable : 0), socket.Key, again);

    /// <summary>Forgets a socket that is about to be closed.</summary>
    /// <remarks>
    /// The system would forget it by itself, but not always at once: since Linux 6.9 a queue that looks at a socket holds it for that moment. If it is closed just then, and nothing is to be told of it, what is left of
    /// the closing, and with it the end that the peer waits for, is put off until the thread that waits at the queue comes back: in a quiet proxy, for as long as nothing else happens.
    /// </remarks>
    public void Remove(ReadySocket socket)
    {
        if (socket.Key == 0)
            return;
        SystemCalls.Forget(_queue, socket.Socket.SafeHandle);
        var place = (int)(uint)socket.Key;
        lock (_lock)
        {
            if (_sockets[place] != socket)
                return;
            _sockets[place] = null;
            _free.Push(place);
        }
    }

    private unsafe void Run()
    {
        _ofThisThread = this;
        var events = stackalloc byte[Most * SystemCalls.EventBytes];
        var happened = new ReadySocket?[Most];
        while (true)
        {
            var count = SystemCalls.Wait(_queue, events, Most);
            var sockets = Volatile.Read(ref _sockets);
            for (var i = 0; i < count; i++)
            {
                var (what, key) = SystemCalls.Event(events, i);
                var place = (int)(uint)key;
                var socket = place < sockets.Length ? Volatile.Read(ref sockets[place]) : null;
                happened[i] = socket is not null && socket.Key == key && socket.Note(what) ? socket : null;
            }

            for (var i = 0; i < count; i++)
            {
                happened[i]?.GoOn();
                happened[i] = null;
            }
        }
    }
}
