using System.Collections.Concurrent;

namespace Alicia.Proxy.Storage;

/// <summary>
/// One thread that does a store's blocking work, one piece after another. SQLite waits for the disk (and for locks) on the calling thread; on
/// thread-pool threads a slow disk would starve the requests that are being proxied.
/// </summary>
internal sealed class StoreThread : IDisposable
{
    // Unbounded, but never longer than the number of callers that wait for their work.
    private readonly BlockingCollection<Action> _work = [];

    public StoreThread(string name)
    {
        var thread = new Thread(Run) { Name = name, IsBackground = true };
        thread.Start();
    }

    /// <summary>Runs <paramref name="work"/> after everything that was queued before it. Cancellation counts only until it starts.</summary>
    /// <exception cref="InvalidOperationException">The thread was disposed.</exception>
    public Task<T> RunAsync<T>(Func<T> work, CancellationToken cancellation)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(
            () =>
            {
                if (cancellation.IsCancellationRequested)
                {
                    done.SetCanceled(cancellation);
                    return;
                }

                try
                {
                    done.SetResult(work());
                }
                catch (Exception e)
                {
                    done.SetException(e);
                }
            },
            CancellationToken.None);
        return done.Task;
    }

    /// <summary>Takes no more work; the thread ends when it has done what is queued.</summary>
    public void Dispose() => _work.CompleteAdding();

    private void Run()
    {
        foreach (var work in _work.GetConsumingEnumerable())
            work();
        _work.Dispose();
    }
}
