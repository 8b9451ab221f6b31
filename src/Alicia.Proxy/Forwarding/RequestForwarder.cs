using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Takes one request for a known service to an instance and the answer back: admission, address, exchange, and what came of it. Used by the data
/// plane and by in-line balancing alike.
/// </summary>
internal sealed partial class RequestForwarder(
    IHttpForwarder forwarder, UpgradeForwarder upgrades, OpenTunnels tunnels, UpstreamClient client, NameResolver resolver, ForwardingOptions options, TimeProvider time,
    ILogger<RequestForwarder> logger)
{
    /// <param name="context">The request.</param>
    /// <param name="upstream">Its service.</param>
    /// <param name="target">Raw path and query for the instance.</param>
    /// <param name="strippedPrefix">What was taken off the front of the path, or empty.</param>
    /// <param name="guard">What an in-line caller changes, or null.</param>
    public async Task ForwardAsync(HttpContext context, Upstream upstream, string target, string strippedPrefix, IInlineGuard? guard = null)
    {
        upstream.Live.CountRequest();
        upstream.Live.Recent.CountRequest();
        var record = options.Recording ? RequestRecord.Of(context) : null;
        record?.ServiceFound(upstream);
        if (LoopGuard.HasBeenHere(context.Request))
        {
            upstream.Live.CountRejection(RejectReason.Loop, ProxyError.Loop.Status);
            await ProxyAnswer.WriteAsync(context, ProxyError.Loop, $"The request for service '{upstream.Name}' has been through this proxy before; is the proxy registered as its own instance?");
            return;
        }

        var admission = InstanceAdmission.TryAdmit(upstream, context, out var state, out var member, out var permit);
        if (admission != AdmissionResult.Admitted)
        {
            upstream.Live.CountRejection(admission == AdmissionResult.NoInstance ? RejectReason.NoInstance : RejectReason.AllFull, StatusCodes.Status503ServiceUnavailable);
            await (admission == AdmissionResult.NoInstance
                ? ProxyAnswer.WriteAsync(context, ProxyError.NoInstance with { RetryAfterSeconds = state.RetryAfterSeconds() }, $"Service '{upstream.Name}' has no instance that takes requests.")
                : ProxyAnswer.WriteAsync(context, ProxyError.AllFull, $"Every instance of service '{upstream.Name}' is at its connection limit."));
            return;
        }

        // From here to Finish the slot is ours; nothing in between may throw without it.
        upstream.Live.Enter();
        member.Live.CountRequest();
        Exchange? exchange = null;
        var released = false;
        try
        {
            record?.BeginAttempt(context, member.Endpoint, target);
            var slot = member.Endpoint.NextSlot() ?? await resolver.FirstAsync(member.Endpoint, context.RequestAborted);
            if (record is not null)
                record.Slot = slot;
            if (resolver.IsDue(member.Endpoint))
                resolver.Refresh(member.Endpoint);
            if (member.Endpoint.Protocol == UpstreamProtocol.Http1 && UpgradeForwarder.Wants(context))
            {
                exchange = new Exchange(upstream, state.Settings, member, slot, target, strippedPrefix, options, time, null) { Guard = guard, Permit = permit, Record = record };
                if (await upgrades.ForwardAsync(context, exchange, member.Live, state.Settings) is { } upgraded)
                    await ConcludeAsync(context, upstream, member, exchange, upgraded, null);
                record?.CameTo(RequestOutcome.Success);
                return;
            }

            using var deadline = ExchangeDeadline.For(state.Settings, time);
            CallerBody? body = null;
            if (context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true)
                context.Request.Body = body = new CallerBody(context.Request, upstream.Live, deadline) { Record = record };
            exchange = new Exchange(upstream, state.Settings, member, slot, target, strippedPrefix, options, time, deadline) { Guard = guard, Permit = permit, Record = record };
            var ending = deadline?.Token ?? CancellationToken.None;
            await using var upgrade = ForwarderUpgrade.For(context, member.Live, tunnels, ending);
            var error = await forwarder.SendAsync(
                context, slot.Prefix, client.Invoker, state.ConfigFor(member.Endpoint.Protocol), exchange, upgrade?.Ending ?? ending);
            if (upgrade is { EndedByProxy: true })
            {
                if (upgrade.IsCut)
                    context.Abort();
            }
            else if (error != ForwarderError.None)
            {
                var exception = context.Features.Get<IForwarderErrorFeature>()?.Exception;
                // After a cut answer the caller's connection has been ended for it; that is not the caller going away.
                // And when time ran out while nobody was waiting for the instance, the caller was too slow in taking its answer.
                var slowCaller = error == ForwarderError.ResponseBodyCanceled && context.Response.HasStarted && !exchange.WentSilent;
                var outcome = exchange.BrokenOff && context.Response.HasStarted ? new Outcome(FaultSide.Instance, null)
                    : slowCaller ? new Outcome(FaultSide.Caller, null)
                    : Outcome.Of(error, exception, context, deadline?.Expired == true || exchange.WentSilent, body?.WasOwed == true);
                await ConcludeAsync(context, upstream, member, exchange, outcome, exception);
            }

            record?.CameTo(RequestOutcome.Success);
        }
        catch (UpstreamConnectException e)
        {
            // From the look-up of the name, before there is an exchange.
            member.Live.CountFailure();
            upstream.Live.CountFailure();
            record?.CameTo(RequestOutcome.Failure);
            member.Gate.Failed(AttemptFailure.Connect, 0, permit);
            LogFailed(logger, upstream.Name, member.Endpoint.InstanceId, e.Failure.ToString(), context.TraceIdentifier, e);
            // The caller may come back as soon as it has the answer: the slot goes first.
            Release(upstream, member, permit, exchange, RequestOutcome.Failure);
            released = true;
            await ProxyAnswer.WriteAsync(context, Outcome.Of(e), Outcome.Detail(upstream.Name, member.Endpoint));
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            upstream.Live.CountAbort();
            exchange?.Abandoned();
            Release(upstream, member, permit, exchange, RequestOutcome.Aborted);
            released = true;
            record?.CameTo(RequestOutcome.Aborted);
        }
        finally
        {
            if (!released)
                Release(upstream, member, permit, exchange, RequestOutcome.Error);
            record?.EndAttempt();
        }
    }

    /// <summary>Gives the slot back, through the exchange where there is one.</summary>
    /// <param name="upstream">The service.</param>
    /// <param name="member">The instance.</param>
    /// <param name="permit">The permit of a trial, or 0.</param>
    /// <param name="exchange">Knows itself what came of it; null when it did not come to an exchange.</param>
    /// <param name="outcome">What came of it then.</param>
    private static void Release(Upstream upstream, PoolMember member, int permit, Exchange? exchange, RequestOutcome outcome)
    {
        if (exchange is not null)
        {
            exchange.Finish();
            return;
        }

        member.Live.Ended.Count(CodeClass.None, outcome);
        upstream.Live.Ended.Count(CodeClass.None, outcome);
        if (permit != 0)
            member.Gate.EndTrial(permit);
        member.Live.Release();
        upstream.Live.Leave();
    }

    private async Task ConcludeAsync(HttpContext context, Upstream upstream, PoolMember member, Exchange exchange, Outcome outcome, Exception? exception)
    {
        exchange.Record?.CameTo(outcome.Side switch
        {
            FaultSide.Caller => RequestOutcome.Aborted,
            FaultSide.Instance => RequestOutcome.Failure,
            _ => RequestOutcome.Error,
        });
        switch (outcome.Side)
        {
            case FaultSide.Caller:
                exchange.Abandoned();
                if (outcome.Error is null || outcome.CallerLeft)
                    upstream.Live.CountAbort();
                break;
            case FaultSide.Instance:
                exchange.Failed(outcome.Error);
                LogFailed(logger, upstream.Name, member.Endpoint.InstanceId, outcome.Error?.Type ?? "cut", context.TraceIdentifier, Outcome.ConnectFailureOf(exception));
                break;
            case FaultSide.Proxy:
                LogInternal(logger, upstream.Name, context.TraceIdentifier, exception);
                break;
        }

        // The caller may come back as soon as it has the answer: the slot goes first.
        exchange.Finish();
        if (outcome.Error is not { } answer || context.RequestAborted.IsCancellationRequested)
            return;
        if (!context.Response.HasStarted)
            await ProxyAnswer.WriteAsync(context, answer, outcome.Side == FaultSide.Caller ? "The request could not be read." : Outcome.Detail(upstream.Name, member.Endpoint));
    }

    [LoggerMessage(LogLevel.Debug, "A request to instance {Instance} of {Service} failed: {Reason}, request {RequestId}")]
    private static partial void LogFailed(ILogger logger, string service, string instance, string reason, string requestId, Exception? error);

    [LoggerMessage(LogLevel.Error, "A request for {Service} failed inside the proxy, request {RequestId}")]
    private static partial void LogInternal(ILogger logger, string service, string requestId, Exception? exception);
}
