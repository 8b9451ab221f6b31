using System.Runtime.CompilerServices;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// One attempt: takes a request to the instance whose slot is reserved for it, and the answer back. What came of it is a value; whether the caller is told, or another instance is asked, is
/// for <see cref="RequestForwarder"/> to say.
/// </summary>
internal sealed partial class AttemptForwarder(
    IHttpForwarder forwarder, UpgradeForwarder upgrades, OpenTunnels tunnels, UpstreamClient client, NameResolver resolver, ForwardingOptions options, TimeProvider time,
    ILogger<AttemptForwarder> logger)
{
    /// <summary>Takes over the slot that the request holds: whatever happens, it is given back before this ends.</summary>
    /// <param name="request">The request.</param>
    /// <exception cref="BadHttpRequestException">The caller's request cannot be put to any instance.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<AttemptResult> SendAsync(CallerRequest request)
    {
        var context = request.Context;
        var record = request.Record;
        var (state, member, permit) = request.Admitted;
        Exchange? exchange = null;
        AttemptResult result = default;
        var ended = RequestOutcome.Error;
        member.Live.CountRequest();
        try
        {
            record?.BeginAttempt(context, member.Endpoint, request.Target);
            var slot = member.Endpoint.NextSlot() ?? await resolver.FirstAsync(member.Endpoint, request.TimeLeft(), context.RequestAborted);
            if (record is not null)
                record.Slot = slot;
            if (resolver.IsDue(member.Endpoint))
                resolver.Refresh(member.Endpoint);
            if (member.Endpoint.Protocol == UpstreamProtocol.Http1 && UpgradeForwarder.Wants(context))
            {
                exchange = new Exchange(request, state.Settings, member, slot, options, time, null) { Affinity = state.Affinity, Permit = permit };
                var upgraded = await upgrades.ForwardAsync(request, exchange, member.Live, state.Settings);
                return result = exchange.IsDropped ? new AttemptResult(null) { IsDropped = true } : Conclude(request, member, exchange, upgraded, upgraded?.Cause);
            }

            var silence = SilenceOf(context);
            using var deadline = ExchangeDeadline.For(state.Settings, time, request.StartedAt, silence);
            var body = request.BeginBody(deadline);
            exchange = new Exchange(request, state.Settings, member, slot, options, time, deadline) { Affinity = state.Affinity, Permit = permit };
            var ending = deadline?.Token ?? CancellationToken.None;
            await using var upgrade = ForwarderUpgrade.For(context, member.Live, tunnels, ending);
            var error = await forwarder.SendAsync(
                context, slot.Prefix, client.Invoker, state.Configs.For(member.Endpoint.Protocol, silence), exchange, upgrade?.Ending ?? ending);
            if (upgrade is { EndedByProxy: true })
            {
                if (upgrade.IsCut)
                    context.Abort();
                return result = new AttemptResult(null) { HeadPassedOn = true };
            }

            if (exchange.IsDropped)
                return result = new AttemptResult(null) { IsDropped = true };
            if (error == ForwarderError.None || IsOnlyOfTheRest(error, context, exchange))
                return result = new AttemptResult(null) { HeadPassedOn = true };
            var exception = context.Features.Get<IForwarderErrorFeature>()?.Exception;
            // After a cut answer the caller's connection has been ended for it; that is not the caller going away.
            // And when time ran out while nobody was waiting for the instance, the caller was too slow in taking its answer.
            var slowCaller = error == ForwarderError.ResponseBodyCanceled && context.Response.HasStarted && !exchange.WentSilent;
            // An instance that has not begun on a request does not wait for its body: what the HTTP client then makes of the caller's is nobody's fault.
            var refused = !exchange.HeadPassedOn && !context.RequestAborted.IsCancellationRequested && AttemptResult.SaysUnsent(exception);
            var outcome = refused ? new Outcome(FaultSide.Instance, Outcome.OfException(exception))
                : exchange.BrokenOff && context.Response.HasStarted ? new Outcome(FaultSide.Instance, null)
                : slowCaller ? new Outcome(FaultSide.Caller, null)
                : Outcome.Of(error, exception, context, deadline?.Expired == true || exchange.WentSilent, body?.WasOwed == true);
            return result = Conclude(request, member, exchange, outcome, exception);
        }
        catch (UpstreamConnectException e)
        {
            // From the look-up of the name, before there is an exchange.
            member.Live.CountFailure();
            record?.CameTo(RequestOutcome.Failure);
            member.Gate.Failed(AttemptFailure.Connect, 0, permit);
            LogFailed(logger, request.Upstream.Name, member.Endpoint.InstanceId, e.Failure.ToString(), context.TraceIdentifier, e);
            ended = RequestOutcome.Failure;
            return result = new AttemptResult(new Outcome(FaultSide.Instance, Outcome.Of(e))) { Exception = e };
        }
        catch (OperationCanceledException e) when (context.RequestAborted.IsCancellationRequested)
        {
            exchange?.Abandoned();
            record?.CameTo(RequestOutcome.Aborted);
            ended = RequestOutcome.Aborted;
            return result = new AttemptResult(new Outcome(FaultSide.Caller, null)) { HeadPassedOn = exchange?.HeadPassedOn == true, Exception = e };
        }
        catch
        {
            // Nobody has foreseen it. Whatever the answer's head said, this was no success.
            exchange?.SaysNothing();
            throw;
        }
        finally
        {
            // The caller may come back as soon as it has its answer, and another attempt may want the slot: it goes first.
            if (exchange is not null)
                exchange.Finish();
            else
                Release(request, member, permit, ended);
            record?.EndAttempt(result.HeadPassedOn || context.RequestAborted.IsCancellationRequested ? null : result.Trouble?.Error);
        }
    }

    /// <summary>
    /// True when all that failed is what was left of a request that has its answer. An instance may answer before it has read everything and then take no more (RFC 9113, section 8.1), which YARP reports as an error all the same.
    /// </summary>
    private static bool IsOnlyOfTheRest(ForwarderError error, HttpContext context, Exchange exchange)
    {
        if (error is not (ForwarderError.RequestBodyClient or ForwarderError.RequestBodyCanceled or ForwarderError.RequestBodyDestination)
            || !exchange.IsAnswered || context.RequestAborted.IsCancellationRequested)
            return false;
        context.Features.Set<IForwarderErrorFeature>(null);
        return true;
    }

    private static Silence SilenceOf(HttpContext context) =>
        ForwarderUpgrade.Wants(context) ? Silence.Upgrade
        : context.Request.Headers.Accept is { Count: > 0 } accept && accept.ToString().Contains("text/event-stream", StringComparison.OrdinalIgnoreCase) ? Silence.Events
        : Silence.Ordinary;

    /// <summary>Gives back the slot of an attempt that did not come to an exchange.</summary>
    private static void Release(CallerRequest request, PoolMember member, int permit, RequestOutcome outcome)
    {
        member.Live.Ended.Count(CodeClass.None, outcome);
        request.Upstream.Live.Ended.Count(CodeClass.None, outcome);
        if (permit != 0)
            member.Gate.EndTrial(permit);
        member.Live.Release();
    }

    /// <summary>Tells the instance's gate, the counters and the record what came of an exchange that did not go well.</summary>
    private AttemptResult Conclude(CallerRequest request, PoolMember member, Exchange exchange, Outcome? trouble, Exception? exception)
    {
        var result = new AttemptResult(trouble) { HeadPassedOn = exchange.HeadPassedOn, Exception = exception };
        if (trouble is not { } outcome)
            return result;
        request.Record?.CameTo(outcome.Side switch
        {
            FaultSide.Caller => RequestOutcome.Aborted,
            FaultSide.Instance => RequestOutcome.Failure,
            _ => RequestOutcome.Error,
        });
        switch (outcome.Side)
        {
            case FaultSide.Caller:
                exchange.Abandoned();
                break;
            case FaultSide.Instance:
                if (result.IsStale || (outcome.Error == ProxyError.ResponseTimeout && request.RanOutElsewhere))
                    exchange.SaysNothing();
                else
                    exchange.Failed(outcome.Error);
                LogFailed(logger, request.Upstream.Name, member.Endpoint.InstanceId, outcome.Error?.Type ?? "cut", request.Context.TraceIdentifier, Outcome.ConnectFailureOf(exception));
                break;
            case FaultSide.Proxy:
                LogInternal(logger, request.Upstream.Name, request.Context.TraceIdentifier, exception);
                break;
        }

        return result;
    }

    [LoggerMessage(LogLevel.Debug, "A request to instance {Instance} of {Service} failed: {Reason}, request {RequestId}")]
    private static partial void LogFailed(ILogger logger, string service, string instance, string reason, string requestId, Exception? error);

    [LoggerMessage(LogLevel.Error, "A request for {Service} failed inside the proxy, request {RequestId}")]
    private static partial void LogInternal(ILogger logger, string service, string requestId, Exception? exception);
}
