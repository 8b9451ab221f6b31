using System.Threading.Tasks.Sources;

namespace Alicia.Proxy.Sockets;

/// <summary>Whether there may be something to be had of a socket in one direction, and who waits for that. One waits at a time; the same tries before it waits.</summary>
internal sealed class Readiness(bool isReady) : IValueTaskSource, IThreadPoolWorkItem
{
    private const int Unknown = 0;
    private const int Ready = 1;
    private const int Awaited = 2;

    private int _state = isReady ? Ready : Unknown;
    private ManualResetValueTaskSourceCore<bool> _waiter;

    /// <summary>True when a try is worth a call.</summary>
    public bool IsReady => Volatile.Read(ref _state) == Ready;

    /// <summary>Before a try: what happens from now on counts.</summary>
    public void Forget() => Interlocked.Exchange(ref _state, Unknown);

    /// <summary>After a try that may not have been the last.</summary>
    public void Remember() => Volatile.Write(ref _state, Ready);

    /// <summary>Waits until a try is worth a call.</summary>
    public ValueTask WaitAsync()
    {
        if (IsReady)
            return default;
        _waiter.Reset();
        var token = _waiter.Version;
        return Interlocked.CompareExchange(ref _state, Awaited, Unknown) == Ready ? default : new ValueTask(this, token);
    }

    /// <summary>Something has happened.</summary>
    /// <returns>True when somebody waits for it, who is then to go on.</returns>
    public bool Note() => Interlocked.Exchange(ref _state, Ready) == Awaited;

    /// <summary>Has the waiter go on, on this thread.</summary>
    public void GoOn() => _waiter.SetResult(true);

    /// <summary>Has the waiter go on in the pool, if there is one.</summary>
    public void End()
    {
        if (Note())
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute() => GoOn();

    void IValueTaskSource.GetResult(short token) => _waiter.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _waiter.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) => _waiter.OnCompleted(continuation, state, token, flags);
}
