using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace Alicia.Proxy.Sockets;

/// <content>How a reader waits, and who may end its waiting.</content>
internal sealed partial class SocketInput : IValueTaskSource<ReadResult>
{
    private const int Idle = 0;

    /// <summary>The socket has been asked to tell.</summary>
    private const int Armed = 1;

    /// <summary>Somebody waits.</summary>
    private const int Waiting = 2;

    private ManualResetValueTaskSourceCore<ReadResult> _waiter;
    private ValueTaskAwaiter _readable;
    private CancellationTokenRegistration _cancellation;
    private CancellationToken _token;
    private int _state;
    private int _cancelled;

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        ReadResult result;
        while (!TryRead(out result))
        {
            cancellationToken.ThrowIfCancellationRequested();
            _waiter.Reset();
            var token = _waiter.Version;
            // An earlier wait that was cancelled has left the socket asked.
            if (Interlocked.CompareExchange(ref _state, Armed | Waiting, Armed) == Armed)
                Heed(cancellationToken);
            else if (!TryArm(cancellationToken))
                continue;
            // Somebody may have come with it between the look for it and the wait.
            if (Volatile.Read(ref _cancelled) != 0)
                CancelWaiting();
            return new(this, token);
        }

        return new(result);
    }

    public override void CancelPendingRead()
    {
        Interlocked.Exchange(ref _cancelled, 1);
        CancelWaiting();
    }

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
    {
        if (_token.CanBeCanceled)
        {
            _cancellation.Dispose();
            (_cancellation, _token) = (default, default);
        }

        return _waiter.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _waiter.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _waiter.OnCompleted(continuation, state, token, flags);

    private void OnReadable()
    {
        _readable.GetResult();
        if ((Interlocked.Exchange(ref _state, Idle) & Waiting) == 0)
            return;
        var result = default(ReadResult);
        Exception? failure = null;
        try
        {
            // Now and then it was a false alarm.
            while (!TryRead(out result))
            {
                if (!TryArm())
                    continue;
                // Whoever cancelled meanwhile has found nobody waiting.
                if (Volatile.Read(ref _cancelled) != 0)
                    CancelWaiting();
                if (_token.IsCancellationRequested)
                    Cancel(_token);
                return;
            }
        }
        catch (Exception e) when (e == _failure || e is InvalidOperationException)
        {
            failure = e;
        }

        if (failure is null)
            _waiter.SetResult(result);
        else
            _waiter.SetException(failure);
    }

    /// <returns>False when there may be something by now.</returns>
    private bool TryArm(CancellationToken cancellation = default)
    {
        // Not while somebody reads ahead: he would take the event that is waited for here.
        lock (_lock)
        {
            if (!_isExamined || _hasEnded)
                return false;
            var readable = _socket.ReadableAsync();
            if (readable.IsCompleted)
            {
                readable.GetAwaiter().GetResult();
                return false;
            }

            _readable = readable.GetAwaiter();
            Volatile.Write(ref _state, Armed | Waiting);
        }

        Heed(cancellation);
        // From here on the answer may come at any time, on another thread.
        _readable.UnsafeOnCompleted(_onReadable);
        return true;
    }

    private void Heed(CancellationToken cancellation)
    {
        if (!cancellation.CanBeCanceled)
            return;
        _token = cancellation;
        _cancellation = cancellation.UnsafeRegister(static (input, token) => ((SocketInput)input!).Cancel(token), this);
    }

    /// <summary>Ends the wait of whoever waits; the socket stays asked.</summary>
    private void CancelWaiting()
    {
        if (Interlocked.CompareExchange(ref _state, Armed, Armed | Waiting) != (Armed | Waiting))
            return;
        Interlocked.Exchange(ref _cancelled, 0);
        ReadResult result;
        lock (_lock)
            result = Result(isCanceled: true);
        _waiter.SetResult(result);
    }

    private void Cancel(CancellationToken token)
    {
        if (Interlocked.CompareExchange(ref _state, Armed, Armed | Waiting) == (Armed | Waiting))
            _waiter.SetException(new OperationCanceledException(token));
    }

    private bool TakeCancelled() => Volatile.Read(ref _cancelled) != 0 && Interlocked.Exchange(ref _cancelled, 0) != 0;
}
