using Alicia.Proxy.Balancing;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.Admission;

/// <summary>
/// The requests of one service that wait while every instance is at its cap, first come, first served. Whoever frees a slot takes it at once for the request that has waited longest, so a
/// slot is never free while somebody waits who could use it, nobody who comes later gets in between, and only the one who is served wakes up.
/// </summary>
internal sealed class WaitingLine(Upstream upstream, TimeProvider time) : SlotWaiters
{
    private readonly Lock _lock = new();
    private readonly LinkedList<Waiter> _line = new();
    private bool _serving;
    private bool _again;
    private int _capacity;

    /// <inheritdoc/>
    public override int Capacity
    {
        get => Volatile.Read(ref _capacity);
        set => Volatile.Write(ref _capacity, value);
    }

    /// <summary>Waits for a slot.</summary>
    /// <param name="request">The request. When its caller leaves, it leaves too.</param>
    /// <param name="tried">Instances that it must not go to, or null.</param>
    /// <param name="limit">How long at most.</param>
    /// <returns>The slot; or nothing, when the line or the time is full, no instance is left, or the caller is gone.</returns>
    public async ValueTask<(AdmissionResult Result, Admitted Admitted)> WaitAsync(HttpContext request, TriedInstances? tried, TimeSpan limit)
    {
        var startedAt = time.GetTimestamp();
        var waiter = new Waiter(request, tried);
        LinkedListNode<Waiter> place;
        lock (_lock)
        {
            if (_line.Count >= Capacity)
                return (AdmissionResult.AllFull, default);
            place = _line.AddLast(waiter);
            Entered();
        }

        // A slot may have come free between this request's look and its entering.
        Serve();
        var completed = await Task.WhenAny(waiter.Task, Limit(limit, request.RequestAborted, out var ended));
        using (ended)
        {
            if (completed != waiter.Task)
                Leave(place);
            else
                await ended.CancelAsync();
        }

        var outcome = await waiter.Task;
        Waited(time.GetElapsedTime(startedAt));
        return outcome;
    }

    /// <inheritdoc/>
    public override void Serve()
    {
        lock (_lock)
        {
            // Looking for a slot can give one back, which leads here again.
            if (_serving)
            {
                _again = true;
                return;
            }

            _serving = true;
            do
            {
                _again = false;
                Serve_NeedsLock();
            }
            while (_again);
            _serving = false;
        }
    }

    private void Serve_NeedsLock()
    {
        for (var place = _line.First; place is not null;)
        {
            var next = place.Next;
            var waiter = place.Value;
            var result = InstanceAdmission.TryAdmit(upstream, waiter.Request, waiter.Tried, out var state, out var member, out var permit);
            if (result != AdmissionResult.AllFull)
            {
                Remove_NeedsLock(place);
                waiter.TrySetResult((result, result == AdmissionResult.Admitted ? new Admitted(state, member, permit) : default));
            }
            else if (waiter.Tried is null)
            {
                // Who may go anywhere finds everything full; so do those behind.
                return;
            }

            place = next;
        }
    }

    private void Leave(LinkedListNode<Waiter> place)
    {
        lock (_lock)
        {
            // Served at the last moment: the slot is the request's, and whoever asked for it decides what to do with it.
            if (place.List is null)
                return;
            Remove_NeedsLock(place);
        }

        place.Value.TrySetResult((AdmissionResult.AllFull, default));
    }

    private void Remove_NeedsLock(LinkedListNode<Waiter> place)
    {
        _line.Remove(place);
        Left();
    }

    private Task Limit(TimeSpan limit, CancellationToken callerLeft, out CancellationTokenSource ended)
    {
        ended = CancellationTokenSource.CreateLinkedTokenSource(callerLeft);
        return Task.Delay(limit, time, ended.Token);
    }

    private sealed class Waiter(HttpContext request, TriedInstances? tried)
        : TaskCompletionSource<(AdmissionResult Result, Admitted Admitted)>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public HttpContext Request { get; } = request;

        public TriedInstances? Tried { get; } = tried;
    }
}
