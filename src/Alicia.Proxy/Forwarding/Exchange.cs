using System.Buffers;
using System.Net;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// One request on its way to one instance: YARP's transformer for it, and the owner of its slot. Being both in one object saves an allocation and a look-up
/// per hook.
/// </summary>
internal sealed class Exchange : HttpTransformer
{
    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private static readonly UriCreationOptions AsWritten = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <summary>The gRPC status by which an instance says that it cannot serve.</summary>
    private const string GrpcUnavailable = "14";

    private readonly Upstream _upstream;
    private readonly ServiceSettings _settings;
    private readonly PoolMember _member;
    private readonly AddressSlot _slot;
    private readonly string _target;
    private readonly string _strippedPrefix;
    private readonly ForwardingOptions _options;
    private readonly TimeProvider _time;
    private readonly ExchangeDeadline? _deadline;
    private readonly long _startedAt;
    private int _finished;
    private bool _failed;
    private bool _cut;
    private CodeClass _code;
    private bool _aborted;
    private bool _switched;
    private bool _isGrpc;

    public Exchange(Upstream upstream, ServiceSettings settings, PoolMember member, AddressSlot slot, string target, string strippedPrefix, ForwardingOptions options,
        TimeProvider time, ExchangeDeadline? deadline)
    {
        _deadline = deadline;
        (_upstream, _settings, _member, _slot, _target, _strippedPrefix, _options, _time) = (upstream, settings, member, slot, target, strippedPrefix, options, time);
        _startedAt = time.GetTimestamp();
    }

    /// <summary>True when the instance cut its answer, or was silent for too long in the middle of it.</summary>
    public bool BrokenOff { get; private set; }

    /// <summary>Fields that <c>POST|GET … /balance/</c> removes or adds; null on the data plane.</summary>
    public IInlineGuard? Guard { get; init; }

    /// <summary>The permit of a trial, or 0 for an ordinary request.</summary>
    public int Permit { get; init; }

    /// <summary>True when the reading of the response's body was given up while the caller was still there: time was up.</summary>
    public bool WentSilent { get; set; }

    /// <summary>What is told of the request afterwards; null when nobody will.</summary>
    public RequestRecord? Record { get; init; }

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
    public void Abandoned() => _aborted = true;

    /// <summary>Gives the slot back. Called when the instance has nothing more to do for the request, and again, without effect, at the end.</summary>
    public void Finish()
    {
        if (Interlocked.Exchange(ref _finished, 1) != 0)
            return;
        // Counted before the caller has the end of the answer, and before the slot is free.
        var outcome = _failed ? RequestOutcome.Failure : _aborted ? RequestOutcome.Aborted : _code == CodeClass.None ? RequestOutcome.Error : RequestOutcome.Success;
        _member.Live.Ended.Count(_code, outcome);
        _upstream.Live.Ended.Count(_code, outcome);
        if (!_switched)
            _upstream.Live.RecordDuration(_time.GetElapsedTime(_startedAt).TotalSeconds);
        if (Permit != 0)
            _member.Gate.EndTrial(Permit);
        _member.Live.Release();
        _upstream.Live.Leave();
    }

    /// <summary>
    /// The instance failed the exchange. Before its response head that counts against its circuit; after it, the head has decided, and what is left is doubt.
    /// </summary>
    /// <param name="error">What the caller is told; null after the head.</param>
    public void Failed(ProxyError? error)
    {
        Fail();
        if (_code != CodeClass.None)
            _member.Gate.BrokeOff();
        else
            _member.Gate.Failed(Outcome.FailureOf(error), 0, Permit);
    }

    /// <summary>Counts the exchange as failed, once.</summary>
    private void Fail()
    {
        if (_failed)
            return;
        _failed = true;
        Record?.CameTo(RequestOutcome.Failure);
        _member.Live.CountFailure();
        _upstream.Live.CountFailure();
    }

    /// <summary>The instance's answer ended before it was whole.</summary>
    public void BreakOff()
    {
        BrokenOff = true;
        Fail();
        _member.Gate.BrokeOff();
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

    /// <inheritdoc/>
    public override ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        var request = httpContext.Request;
        var connection = request.Headers.Connection;
        var mayNominate = HopByHop.MayNominate(connection);
        var trace = Record?.Propagated;
        foreach (var (name, values) in request.Headers)
        {
            if (name[0] == ':' || HopByHop.IsFixed(name) || ForwardedFields.IsInFamily(name) || name.Equals("Host", StringComparison.OrdinalIgnoreCase) || RequestIds.IsField(name))
                continue;
            if (trace is not null && RequestSpans.IsTraceField(name))
                continue;
            if (mayNominate && HopByHop.IsNominated(connection, name))
                continue;
            if (Guard is not null && Guard.Removes(name))
                continue;
            Copy(proxyRequest, name, values);
        }

        // The HTTP client quietly sends a request without a body again when a kept connection turns out to be closed. That is right only where twice is as good as
        // once; a body, though empty, keeps it from doing so.
        if (proxyRequest.Content is null && !IsIdempotent(request.Method))
            BodilessFields.Add(proxyRequest, "Content-Length", "0");

        // A Content-Length beside Transfer-Encoding is a smuggling attempt or a mistake; the framing that counts is the transfer coding.
        if (request.Headers.TransferEncoding.Count > 0)
            proxyRequest.Content?.Headers.Remove("Content-Length");
        if (HttpProtocol.IsHttp2(request.Protocol) && request.Headers.TE.ToString().Contains("trailers", StringComparison.OrdinalIgnoreCase))
        {
            proxyRequest.Headers.TryAddWithoutValidation("TE", "trailers");
            // HTTP/2 has no Connection field; in HTTP/1.1 TE without it would be for the next hop but one.
            if (_member.Endpoint.Protocol == UpstreamProtocol.Http1)
                proxyRequest.Headers.TryAddWithoutValidation("Connection", "TE");
        }

        var host = _settings.Get(SettingKeys.HostHeader) == "instance" ? _member.Endpoint.HostAndPort : request.Headers.Host.ToString();
        proxyRequest.Headers.Host = host.Length > 0 ? host : _member.Endpoint.HostAndPort;
        ForwardedFields.Set(httpContext, proxyRequest.Headers, _strippedPrefix, _options.Trusted);
        LoopGuard.Mark(request, proxyRequest.Headers);
        proxyRequest.Headers.TryAddWithoutValidation(RequestIds.Field, httpContext.TraceIdentifier);
        if (trace is not null)
        {
            proxyRequest.Headers.TryAddWithoutValidation("traceparent", trace.Id);
            if (!string.IsNullOrEmpty(trace.TraceStateString))
                proxyRequest.Headers.TryAddWithoutValidation("tracestate", trace.TraceStateString);
        }

        if (proxyRequest.Content is not null && request.Body is CallerBody body)
            proxyRequest.Options.Set(OutgoingBody.Begins, body.GoesTo);
        proxyRequest.RequestUri = new Uri(_slot.Prefix + _target, AsWritten);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is null)
            return ValueTask.FromResult(false);

        if (!ResponseFields.IsReadable(proxyResponse))
            throw new HttpRequestException(HttpRequestError.InvalidResponse, "The instance's answer has a status below 100, a 205 with a body, or an unknown transfer coding.");
        // Over HTTP/2 the success of a CONNECT is the switch of protocols; its content is a stream for both ways.
        var switched = proxyResponse.StatusCode == HttpStatusCode.SwitchingProtocols
            || (proxyResponse.IsSuccessStatusCode && proxyResponse.RequestMessage?.Method == HttpMethod.Connect);
        _switched = switched;
        if (switched)
            _deadline?.Upgraded();
        else
            _deadline?.Answered();
        Record?.HeadCame((int)proxyResponse.StatusCode, _time.GetTimestamp());
        var seconds = _time.GetElapsedTime(_startedAt).TotalSeconds;
        _member.Live.RecordResponseTime(seconds);
        _upstream.Live.RecordResponseTime(seconds);
        // How long an upgraded connection stays is no measure of anything: what counts is the time until it was there.
        if (switched)
            _upstream.Live.RecordDuration(seconds);
        // Counted before the caller can see the answer, so that whoever reads the statistics after it finds it counted.
        Judge(proxyResponse);

        ResponseFields.Copy(httpContext, proxyResponse);
        Guard?.Amend(httpContext.Response.Headers);
        if (!switched)
            proxyResponse.Content = new FinishingContent(proxyResponse.Content, this, httpContext.Response);
        _isGrpc = proxyResponse.Content.Headers.ContentLength is null && HttpProtocol.IsHttp2(httpContext.Request.Protocol) && ProxyAnswer.IsGrpc(httpContext.Request);
        return ValueTask.FromResult(true);
    }

    /// <inheritdoc/>
    public override ValueTask TransformResponseTrailersAsync(HttpContext httpContext, HttpResponseMessage proxyResponse, CancellationToken cancellationToken)
    {
        if (httpContext.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is { IsReadOnly: false } trailers)
        {
            try
            {
                foreach (var (name, values) in proxyResponse.TrailingHeaders.NonValidated)
                    trailers[name] = ResponseFields.ToValues(values);
            }
            catch (InvalidOperationException)
            {
                // A trailer that no server may send, such as one with a control character. The head has gone; the answer ends as a cut one.
                BreakOff();
                httpContext.Abort();
                return ValueTask.CompletedTask;
            }

            if (_cut)
            {
                trailers["grpc-status"] = ProxyError.ConnectionTerminated.GrpcStatus.ToString(System.Globalization.CultureInfo.InvariantCulture);
                trailers["grpc-message"] = "Instance broke off its answer";
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Decides by the response head what the attempt says of the instance.</summary>
    private void Judge(HttpResponseMessage response)
    {
        var status = (int)response.StatusCode;
        _code = RequestCounts.ClassOf(status);
        if (_settings.FailureStatus(status))
        {
            Fail();
            _member.Gate.Failed(AttemptFailure.Status, status, Permit);
        }
        else if (response.Headers.NonValidated.TryGetValues("grpc-status", out var grpc) && grpc.ToString() == GrpcUnavailable)
        {
            Fail();
            _member.Gate.Failed(AttemptFailure.Grpc, 0, Permit);
        }
        else
        {
            _member.Gate.Succeeded(Permit);
        }
    }

    private static bool IsIdempotent(string method) =>
        HttpMethods.IsGet(method) || HttpMethods.IsHead(method) || HttpMethods.IsPut(method) || HttpMethods.IsDelete(method) || HttpMethods.IsOptions(method)
        || HttpMethods.IsTrace(method) || HttpMethods.IsConnect(method);

    private static void Copy(HttpRequestMessage request, string name, StringValues values)
    {
        var added = values.Count == 1
            ? request.Headers.TryAddWithoutValidation(name, values[0])
            : request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
        if (added)
            return;
        // Fields of the body end up here, and names that the server let through and the HTTP client does not.
        if (name.AsSpan().ContainsAnyExcept(NameCharacters))
            throw new BadHttpRequestException("A field name has characters that no name may have.");
        if (request.Content is null)
            BodilessFields.Add(request, name, values);
        else
            request.Content.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
    }
}
