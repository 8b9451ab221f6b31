using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Live;
using Alicia.Proxy.RateLimits;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Takes one request for a known service to an instance and the answer back: admission, attempts until one has an answer, and what the caller is told. Used by the data plane and by
/// in-line balancing alike.
/// </summary>
internal sealed class RequestForwarder(AttemptForwarder attempts, ForwardingOptions options, Random random, TimeProvider time)
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

        if (upstream.RateLimit is { } limit && !limit.TryTake(
            limit.Rule.By == RateLimitBy.Client ? ForwardedFields.CallerOf(context, options.Trusted) : null,
            limit.Rule.By == RateLimitBy.Field ? context.Request.Headers[limit.Rule.Field!].ToString() : null,
            out var retryAfter))
        {
            upstream.Live.CountRejection(RejectReason.RateLimited, ProxyError.RateLimited.Status);
            await ProxyAnswer.WriteAsync(context, ProxyError.RateLimited with { RetryAfterSeconds = retryAfter }, $"Service '{upstream.Name}' is asked more often than its rate limit allows.");
            return;
        }

        var startedAt = time.GetTimestamp();
        var waited = false;
        var (admission, admitted) = upstream.Live.Waiters is { Depth: > 0 } ? (AdmissionResult.AllFull, default) : Admit(upstream, context);
        if (admission == AdmissionResult.AllFull && upstream.Live.Waiters is WaitingLine { Capacity: > 0 } line)
        {
            waited = true;
            (admission, admitted) = await line.WaitAsync(context, null, WaitLimit(upstream.State.Settings));
            if (context.RequestAborted.IsCancellationRequested)
            {
                admitted.Release();
                upstream.Live.CountAbort();
                record?.CameTo(RequestOutcome.Aborted);
                return;
            }

            // Served in the very last moment: there is no time left for an instance.
            if (admission == AdmissionResult.Admitted && upstream.State.Settings.Get(SettingKeys.OverallTimeout) <= time.GetElapsedTime(startedAt))
            {
                admitted.Release();
                admission = AdmissionResult.AllFull;
            }
        }

        if (admission != AdmissionResult.Admitted)
        {
            upstream.Live.CountRejection(admission == AdmissionResult.NoInstance ? RejectReason.NoInstance : RejectReason.AllFull, StatusCodes.Status503ServiceUnavailable);
            await (admission == AdmissionResult.NoInstance
                ? ProxyAnswer.WriteAsync(context, ProxyError.NoInstance with { RetryAfterSeconds = upstream.State.RetryAfterSeconds() }, $"Service '{upstream.Name}' has no instance that takes requests.")
                : ProxyAnswer.WriteAsync(context, ProxyError.AllFull, $"Every instance of service '{upstream.Name}' is at its connection limit."));
            return;
        }

        // The slot is ours from here on, and the attempt's from the call on; nothing in between may throw.
        var request = new CallerRequest(context, upstream, target, strippedPrefix, time) { Guard = guard, Record = record, StartedAt = startedAt, HasWaited = waited };
        request.Enter(admitted);
        try
        {
            while (true)
            {
                var result = await attempts.SendAsync(request);
                if (!result.IsDropped)
                {
                    if (result.Trouble is not { } trouble)
                    {
                        record?.CameTo(RequestOutcome.Success);
                        return;
                    }

                    if (!MayGoOn(request, result, trouble) || (!request.TryGoOn(result) && !await request.TryWaitAsync() && !await BackOffAsync(request)))
                    {
                        await TellAsync(request, trouble);
                        return;
                    }
                }

                Reset(context);
                request.Enter(request.TakeNext());
            }
        }
        finally
        {
            request.Leave();
        }
    }

    private static (AdmissionResult Result, Admitted Admitted) Admit(Upstream upstream, HttpContext context)
    {
        var result = InstanceAdmission.TryAdmit(upstream, context, null, out var state, out var member, out var permit);
        return (result, result == AdmissionResult.Admitted ? new Admitted(state, member, permit) : default);
    }

    private static TimeSpan WaitLimit(ServiceSettings settings)
    {
        var limit = settings.Get(SettingKeys.QueueTimeout);
        return settings.Get(SettingKeys.OverallTimeout) is { } overall && overall < limit ? overall : limit;
    }

    private static bool MayGoOn(CallerRequest request, AttemptResult result, Outcome trouble) =>
        trouble.Side == FaultSide.Instance && !result.HeadPassedOn && !request.Context.Response.HasStarted && !request.Context.RequestAborted.IsCancellationRequested;

    /// <summary>Waits a moment and asks the same instance again, where there is no other and that makes sense.</summary>
    private async ValueTask<bool> BackOffAsync(CallerRequest request)
    {
        if (request.BackOff(random) is not { } wait)
            return false;
        await Task.Delay(wait, time, request.Context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return !request.Context.RequestAborted.IsCancellationRequested && request.TryReturn();
    }

    /// <summary>Takes back what the attempt has left on an answer that has not begun.</summary>
    private static void Reset(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status200OK;
        context.Features.Get<IHttpResponseFeature>()!.ReasonPhrase = null;
        context.Features.Set<IForwarderErrorFeature>(null);
    }

    /// <summary>Counts what the request came to, and tells the caller if it can still be told.</summary>
    private static async Task TellAsync(CallerRequest request, Outcome trouble)
    {
        if (trouble.Side == FaultSide.Instance)
            request.CountFailure();
        else if (trouble.Side == FaultSide.Caller && (trouble.Error is null || trouble.CallerLeft))
            request.Upstream.Live.CountAbort();
        request.Leave();
        if (trouble.Error is not { } answer || request.Context.RequestAborted.IsCancellationRequested)
            return;
        await ProxyAnswer.WriteAsync(request.Context, answer, trouble.Side == FaultSide.Caller ? "The request could not be read." : Outcome.Detail(request.Upstream.Name, request.Admitted.Member.Endpoint), request.Attempts);
    }
}
