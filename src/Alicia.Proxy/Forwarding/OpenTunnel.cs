namespace Alicia.Proxy.Forwarding;

/// <summary>
/// One upgraded connection while it lasts, so that the proxy can end it: a WebSocket with a close frame and time for the peers' own, anything else by cutting it. Whoever copies
/// its bytes does the cutting, because only that one knows when the connection is over by itself.
/// </summary>
internal sealed class OpenTunnel(long epoch, WebSocketCallerStream? webSocket, TimeProvider time, Action<OpenTunnel> remove) : IDisposable
{
    /// <summary>How long a peer may take to the end of the frame that it is sending; and then how long both may take to close.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly TaskCompletionSource _cut = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _ended;

    /// <summary>The instance that it goes to.</summary>
    public long Epoch { get; } = epoch;

    /// <summary>Completes when both sides are to be reset.</summary>
    public Task Cut => _cut.Task;

    /// <summary>True once the proxy has begun to end it: what comes of it then is nobody's fault.</summary>
    public bool EndedByProxy => Volatile.Read(ref _ended) != 0;

    /// <summary>Begins to end it and returns at once. It is over after two seconds at most.</summary>
    public void End()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
            _ = Task.Run(EndAsync);
    }

    /// <summary>It is over.</summary>
    public void Dispose()
    {
        remove(this);
        _over.TrySetResult();
    }

    private async Task EndAsync()
    {
        try
        {
            if (webSocket is null)
                return;
            using var limit = new CancellationTokenSource(Patience, time);
            if (await webSocket.CloseAsync(limit.Token))
                await _over.Task.WaitAsync(Patience, time);
        }
        catch (TimeoutException)
        {
            // The peers had their time.
        }
        finally
        {
            _cut.TrySetResult();
        }
    }
}
