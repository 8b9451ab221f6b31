namespace Alicia.Proxy.Backend;

/// <summary>Keeps requests waiting under a key until a test lets them go, oldest first, so that an exact number is in flight.</summary>
internal sealed class HoldGates
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedList<TaskCompletionSource>> _waiting = [];

    /// <summary>Waits for a release that comes after this call.</summary>
    /// <exception cref="OperationCanceledException">The client went first.</exception>
    public async Task HoldAsync(string key, CancellationToken gone)
    {
        // Continuations must not run under the lock, nor on the releasing request.
        var ticket = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (!_waiting.TryGetValue(key, out var queue))
                _waiting[key] = queue = [];
            queue.AddLast(ticket);
        }
        try
        {
            await ticket.Task.WaitAsync(gone);
        }
        catch (OperationCanceledException)
        {
            lock (_lock)
            {
                if (_waiting.TryGetValue(key, out var queue))
                    queue.Remove(ticket);
            }
            throw;
        }
    }

    /// <summary>Lets at most <paramref name="count"/> waiting requests go.</summary>
    /// <returns>How many went.</returns>
    public int Release(string key, int count)
    {
        var released = 0;
        lock (_lock)
        {
            if (!_waiting.TryGetValue(key, out var queue))
                return 0;
            while (released < count && queue.First is { } first)
            {
                queue.RemoveFirst();
                first.Value.SetResult();
                released++;
            }
        }
        return released;
    }

    public void ReleaseAll()
    {
        foreach (var key in Held().Keys)
            Release(key, int.MaxValue);
    }

    /// <summary>How many wait, by key.</summary>
    public IReadOnlyDictionary<string, int> Held()
    {
        lock (_lock)
            return _waiting.Where(entry => entry.Value.Count > 0).ToDictionary(entry => entry.Key, entry => entry.Value.Count);
    }
}
