using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// One request on its way to one instance: the owner of its slot, and what whoever moves the bytes tells its progress to. Which fields go along stands in
/// <c>Exchange.Fields.cs</c>; <c>Exchange.Yarp.cs</c> makes it YARP's transformer. Being all of it in one object saves an allocation and a look-up per hook.
/// </summary>
internal sealed partial class Exchange : HttpTransformer
{
    /// <summary>The gRPC status by which an instance says that it cannot serve.</summary>
    private const string GrpcUnavailable = "14";

    private readonly CallerRequest _request;
    private readonly Upstream _upstream;
    private readonly ServiceSettings _settings;
    private readonly PoolMember _member;
    private readonly AddressSlot _slot;
    private readonly ForwardingOptions _options;
    private readonly TimeProvider _time;
    private readonly ExchangeDeadline? _deadline;
    private readonly long _startedAt;
    private int _finished;
    private bool _failed;
    private bool _cut;
    private CodeClass _code;
    private bool _passedOn;
    private bool _aborted;
    private bool _isGrpc;

    public Exchange(CallerRequest request, ServiceSettings settings, PoolMember member, AddressSlot slot, ForwardingOptions options, TimeProvider time, ExchangeDeadline? deadline)
    {
        _deadline = deadline;
        (_request, _upstream, _settings, _member, _slot, _options, _time) = (request, request.Upstream, settings, member, slot, options, time);
        _startedAt = time.GetTimestamp();
    }

    /// <summary>True when the instance cut its answer, or was silent for too long in the middle of it.</summary>
    public bool BrokenOff { get; private set; }

    /// <summary>Tells the caller which instance it met; null when the service does not keep callers with theirs.</summary>
    public Affinity? Affinity { get; init; }

    /// <summary>The permit of a trial, or 0 for an ordinary request.</summary>
    public int Permit { get; init; }

    /// <summary>True when the reading of the response's body was given up while the caller was still there: time was up.</summary>
    public bool WentSilent { get; set; }

    /// <summary>True once the head of the answer is the caller's.</summary>
    public bool HeadPassedOn => _passedOn;

    /// <summary>True once the answer has come whole and none other will be asked for.</summary>
    public bool IsAnswered => _passedOn && !BrokenOff && Volatile.Read(ref _finished) != 0;

    /// <summary>True when a head came and the request goes to another instance in place of it.</summary>
    public bool IsDropped { get; private set; }

    private RequestRecord? Record => _request.Record;

    private IInlineGuard? Guard => _request.Guard;

    /// <summary>
    /// The instance's response head is here: counted before the caller can see it, so that whoever reads the statistics after it finds it counted. The head decides what the attempt
    /// says of the instance.
    /// </summary>
    /// <param name="status">HTTP status.</param>
    /// <param name="grpcStatus">The field <c>grpc-status</c> of an answer without a message; else null.</param>
    /// <param name="switched">Whether the connection has been upgraded.</param>
    /// <returns>False when the answer is to be dropped, fields and body: the request has another instance already.</returns>
    public bool HeadCame(int status, string? grpcStatus, bool switched)
    {
        if (switched)
            _deadline?.Upgraded();
        else
            _deadline?.Answered();
        Record?.HeadCame(status, _time.GetTimestamp());
        _member.Live.RecordResponseTime(_time.GetElapsedTime(_startedAt).TotalSeconds);
        _code = RequestCounts.ClassOf(status);
        var isUnavailable = grpcStatus == GrpcUnavailable;
        var failed = isUnavailable || _settings.FailureStatus(status);
        if (!failed)
            _member.Gate.Succeeded(Permit);
        else if (_settings.FailureStatus(status))
            _member.Gate.Failed(AttemptFailure.Status, status, Permit);
        else
            _member.Gate.Failed(AttemptFailure.Grpc, 0, Permit);
        if (Permit != 0)
        {
            // The head has judged the trial; what comes after it, such as a stream that lasts for hours, must not keep the next one waiting.
            _member.Gate.EndTrial(Permit);
            _member.Live.Waiters?.SlotFreed();
        }

        // Asked after the gate has heard of it: whoever is picked next is picked with that knowledge.
        IsDropped = (failed || _settings.RetryStatus(status)) && _request.TryGoOn(status, isUnavailable);
        _passedOn = !IsDropped;
        if (failed)
            Fail();
        if (IsDropped)
            return false;
        _upstream.Live.RecordResponseTime(_time.GetElapsedTime(_request.StartedAt).TotalSeconds);
        // How long an upgraded connection stays is no measure of anything: what counts is the time until it was there.
        if (switched)
            _request.Measure();
        return true;
    }

    /// <summary>Bytes of the response have moved.</summary>
    public void Progress(int bytes)
    {
        _upstream.Live.CountSent(bytes);
        Record?.CountOut(bytes);
        _deadline?.Progress();
    }

    /// <summary>Bytes of an upgraded connection have moved.</summary>
    public void Tunnelled(int bytes, bool fromCaller)
    {
        if (fromCaller)
        {
            _upstream.Live.CountReceived(bytes);
            Record?.CountIn(bytes);
        }
        else
        {
            _upstream.Live.CountSent(bytes);
            Record?.CountOut(bytes);
        }
    }

    /// <summary>The exchange ended by the caller's doing.</summary>
    public void Abandoned()
    {
        _aborted = true;
        if (_code == CodeClass.None)
            _member.Live.Outlasted(_time.GetElapsedTime(_startedAt).TotalSeconds);
    }

    /// <summary>Gives the slot back. Called when the instance has nothing more to do for the request, and again, without effect, at the end.</summary>
    public void Finish()
    {
        if (Interlocked.Exchange(ref _finished, 1) != 0)
            return;
        // Counted before the caller has the end of the answer, and before the slot is free.
        var outcome = _failed ? RequestOutcome.Failure : _aborted ? RequestOutcome.Aborted : _code == CodeClass.None ? RequestOutcome.Error : RequestOutcome.Success;
        _member.Live.Ended.Count(_code, outcome);
        _upstream.Live.Ended.Count(_code, outcome);
        if (HeadPassedOn)
            _request.Leave();
        if (Permit != 0)
            _member.Gate.EndTrial(Permit);
        _member.Live.Release();
    }

    /// <summary>
    /// The instance failed the exchange. Before its response head that counts against its circuit; after it, the head has decided, and what is left is doubt.
    /// </summary>
    /// <param name="error">What the caller is told; null after the head.</param>
    public void Failed(ProxyError? error)
    {
        Fail();
        if (HeadPassedOn)
            _member.Gate.BrokeOff();
        else
            _member.Gate.Failed(Outcome.FailureOf(error), 0, Permit);
    }

    /// <summary>The exchange failed in a way that says nothing of the instance: the caller's time was up before it had had its own, or a kept connection had ended.</summary>
    public void SaysNothing() => Fail();

    /// <summary>Counts the exchange as failed, once.</summary>
    private void Fail()
    {
        if (_failed)
            return;
        _failed = true;
        Record?.CameTo(RequestOutcome.Failure);
        _member.Live.CountFailure();
        if (HeadPassedOn)
            _request.CountFailure();
    }

    /// <summary>The instance's answer ended before it was whole.</summary>
    public void BreakOff()
    {
        BrokenOff = true;
        Fail();
        _member.Gate.BrokeOff();
        // Before the caller's connection is cut for it: who looks at the statistics after that finds it counted.
        Finish();
    }

    /// <summary>
    /// What a gRPC caller gets of an answer that broke off: its end, with a status in the trailers. To a reset stream its library could only give a status that means
    /// something else, such as "cancelled".
    /// </summary>
    /// <returns>False when the answer's stream is to be cut like its source.</returns>
    public bool EndsWithStatus(Exception fault)
    {
        _cut = _isGrpc && fault is (IOException or HttpRequestException);
        return _cut;
    }

    private static void AddCutStatus(IHeaderDictionary trailers)
    {
        trailers["grpc-status"] = ProxyError.ConnectionTerminated.GrpcStatus.ToString(System.Globalization.CultureInfo.InvariantCulture);
        trailers["grpc-message"] = "Instance broke off its answer";
    }
}
