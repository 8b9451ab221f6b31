using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Alicia.Proxy.Http1;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Alicia.Proxy.Callers;

/// <summary>
/// What the server reads of a caller's HTTP/1.1 connection: the transport's bytes once <see cref="StrictRequests"/> has passed them. A head goes to the server whole, together with what of its
/// body came with it, or not at all.
/// </summary>
/// <remarks>
/// The server never sees a refused request. When it comes to ask for it, after the answers to those before, it is given a request of our own in its place, which the data plane answers with the
/// refusal; so a refusal is an ordinary answer in everything but its cause. A body that turns out bad after its head has gone on is continued with a chunk that the server refuses itself.
/// Nothing is copied, and where nothing is waited for, nothing is allocated.
/// </remarks>
internal sealed class GuardedInput(PipeReader inner, CallerLimits limits, IFeatureCollection connection, TimeProvider time) : PipeReader
{
    /// <summary>How long a caller that was refused may be silent before its connection is closed, and how long it may go on talking to nobody.</summary>
    private static readonly TimeSpan LingerSilence = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LingerInAll = TimeSpan.FromSeconds(2);

    /// <summary>Kestrel closes silently what takes this much longer than the head may take; by then we have said why.</summary>
    private static readonly TimeSpan Backstop = TimeSpan.FromSeconds(10);

    private static readonly byte[] RefusedRequest = "OPTIONS * HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n"u8.ToArray();

    /// <summary>Neither a chunk's size nor the end of one.</summary>
    private static readonly byte[] BrokenChunk = "\0\0\r\n\r\n"u8.ToArray();

    private readonly StrictRequests _requests = new(limits.Current.Requests);
    private Mode _mode;
    private RequestFault? _fault;

    /// <summary>The transport's latest bytes, and positions in them, all counted in bytes since the connection began: where they begin, how far the server was given them and has seen them.</summary>
    private ReadOnlySequence<byte> _buffer;
    private long _start;
    private long _given;
    private long _seen;

    /// <summary>Bytes of the transport that could not be judged yet.</summary>
    private long _rest;

    private ReadOnlySequence<byte> _substitute;
    private bool _substituteGiven;
    private ITimer? _headTimer;
    private bool _everTimed;
    private bool _headTimed;
    private long _headTimedAt;
    private volatile bool _headLate;
    private int _cancelled;
    private volatile bool _upgraded;

    private enum Mode
    {
        Guarding,

        /// <summary>The connection speaks another protocol.</summary>
        Open,

        /// <summary>Something was wrong; the transport's bytes are not looked at any more.</summary>
        Substituting,
    }

    /// <summary>Why the request that the server sees stands for another one.</summary>
    public RequestFault? Refusal => _mode == Mode.Substituting ? _fault : null;

    /// <summary>Called when the caller was told that protocols are switched, before anybody reads on.</summary>
    public void Upgraded() => _upgraded = true;

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        switch (_mode)
        {
            case Mode.Open:
                return inner.ReadAsync(cancellationToken);
            case Mode.Substituting:
                return new(Substitute());
        }

        if (inner.TryRead(out var result))
        {
            if (TryGive(result, out var given))
                return new(given);
            inner.AdvanceTo(_buffer.Start, _buffer.End);
        }

        TimeHead();
        return AwaitAsync(cancellationToken);
    }

    public override bool TryRead(out ReadResult result)
    {
        switch (_mode)
        {
            case Mode.Open:
                return inner.TryRead(out result);
            case Mode.Substituting:
                result = Substitute();
                return true;
        }

        if (!inner.TryRead(out result))
            return false;
        if (TryGive(result, out var given))
        {
            result = given;
            return true;
        }

        inner.AdvanceTo(_buffer.Start, _buffer.End);
        return false;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        switch (_mode)
        {
            case Mode.Open:
                inner.AdvanceTo(consumed, examined);
                return;
            case Mode.Substituting:
                _substitute = _substitute.Slice(consumed);
                return;
        }

        var origin = _buffer.GetOffset(_buffer.Start) - _start;
        _seen = Math.Max(_buffer.GetOffset(examined) - origin, _seen);
        _start = _buffer.GetOffset(consumed) - origin;
        if (_seen < _given)
            inner.AdvanceTo(consumed, examined);
        else if (_fault is not null)
            BeginSubstitute(_buffer.Slice(consumed));
        else
            // What waits for a word on the upgrade is looked at again without waiting for more.
            inner.AdvanceTo(consumed, _requests.AwaitsUpgrade ? consumed : _buffer.End);
    }

    public override void CancelPendingRead()
    {
        Volatile.Write(ref _cancelled, 1);
        inner.CancelPendingRead();
    }

    /// <summary>The transport is completed by its owner; until then what a refused caller still sends is read.</summary>
    public override void Complete(Exception? exception = null) => _headTimer?.Dispose();

    /// <summary>Reads on for a moment after a refusal. A connection that is closed on bytes unread is reset, and the reset can overtake the answer.</summary>
    public async Task LingerAsync()
    {
        var startedAt = time.GetTimestamp();
        try
        {
            while (time.GetElapsedTime(startedAt) < LingerInAll)
            {
                using var silence = new CancellationTokenSource(LingerSilence, time);
                var result = await inner.ReadAsync(silence.Token);
                inner.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                    return;
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or InvalidOperationException)
        {
            // Silent, or gone.
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> AwaitAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            // An idle connection keeps all that stands behind this wait, so nothing that need not.
            var result = await inner.ReadAsync(cancellationToken);
            if (TryGive(result, out var given))
                return given;
            inner.AdvanceTo(_buffer.Start, _buffer.End);
            TimeHead();
        }
    }

    /// <summary>Judges what the transport has, and says what of it the server gets.</summary>
    /// <returns>False when that is nothing, and more has to be waited for.</returns>
    private bool TryGive(in ReadResult result, out ReadResult given)
    {
        _buffer = result.Buffer;
        if (_requests.AwaitsUpgrade && _start == _requests.Taken)
        {
            // The server has the head, and reads on.
            if (_upgraded)
            {
                _mode = Mode.Open;
                given = result;
                return true;
            }

            _requests.NotUpgraded();
        }

        if (_requests.IsBetweenRequests)
            _requests.Use(limits.Current.Requests);
        var untaken = _buffer.Slice(_requests.Taken - _start);
        _rest = _fault is null ? untaken.Length - _requests.Read(untaken) : untaken.Length;
        _fault ??= _requests.Fault;
        var hasBegun = _requests.IsInHead && (_rest > 0 || !_requests.IsBetweenRequests);
        var over = result.IsCompleted;
        if (_fault is null && hasBegun && over)
            _fault = RequestFault.Incomplete;
        if (_headTimed && _fault is null)
        {
            if (!_requests.IsInHead || _requests.Safe > _seen)
                StopTimingHead();
            else if (_headLate && time.GetElapsedTime(_headTimedAt) >= limits.Current.HeadTimeout * 0.9)
                (_fault, over) = hasBegun ? (RequestFault.HeadTimeout, over) : (null, true);
        }

        var end = _fault is not null && _given <= _requests.RequestStart ? _requests.RequestStart : _requests.Safe;
        if (_fault is not null && end <= _seen)
        {
            BeginSubstitute(_buffer.Slice(0, _given - _start), _buffer.End);
            given = Substitute();
            return true;
        }

        // What waits for a word on the upgrade may still be given.
        over &= !_requests.AwaitsUpgrade || _rest == 0 || end <= _seen;
        var cancelled = result.IsCanceled && Interlocked.Exchange(ref _cancelled, 0) == 1;
        _given = end;
        given = new ReadResult(_buffer.Slice(0, end - _start), cancelled, over && _fault is null);
        return end > _seen || over || cancelled;
    }

    private void BeginSubstitute(ReadOnlySequence<byte> unconsumed)
    {
        // What follows is not of interest, but for the part that the server has been given and not taken.
        BeginSubstitute(unconsumed.Slice(0, _given - _start), unconsumed.End);
    }

    private void BeginSubstitute(ReadOnlySequence<byte> unconsumed, SequencePosition end)
    {
        var canned = _given <= _requests.RequestStart ? RefusedRequest : BrokenChunk;
        _substitute = new ReadOnlySequence<byte>(unconsumed.IsEmpty ? canned : [.. unconsumed.ToArray(), .. canned]);
        _mode = Mode.Substituting;
        StopTimingHead();
        inner.AdvanceTo(end);
    }

    private ReadResult Substitute()
    {
        // A server that asks twice has not found what it looks for.
        var result = new ReadResult(_substitute, isCanceled: false, isCompleted: _substituteGiven);
        _substituteGiven = true;
        return result;
    }

    /// <summary>Before a wait: starts the clock of a head that has begun, and of a connection's first.</summary>
    private void TimeHead()
    {
        if (_headTimed || !_requests.IsInHead)
            return;
        var isNew = _requests.Taken == 0 && !_everTimed;
        if (!isNew && _requests.IsBetweenRequests && _rest == 0)
            return;
        var timeout = limits.Current.HeadTimeout;
        (_everTimed, _headTimed, _headLate, _headTimedAt) = (true, true, false, time.GetTimestamp());
        _headTimer = time.CreateTimer(static state => ((GuardedInput)state!).OnHeadLate(), this, timeout, Timeout.InfiniteTimeSpan);
        // To Kestrel the connection is idle until the head is whole.
        connection.Get<IConnectionTimeoutFeature>()?.ResetTimeout(timeout + Backstop);
    }

    private void StopTimingHead()
    {
        if (!_headTimed)
            return;
        // Few heads are waited for, and what were put away for the next would be kept by every idle connection.
        _headTimed = false;
        _headTimer!.Dispose();
        _headTimer = null;
    }

    private void OnHeadLate()
    {
        _headLate = true;
        inner.CancelPendingRead();
    }
}
