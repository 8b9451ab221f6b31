using Alicia.Proxy.Circuit;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Forwarding;

/// <summary>What may follow an attempt that did not go well.</summary>
/// <param name="Reason">What made it necessary.</param>
/// <param name="IsCharged">Whether it costs one of the request's tries and one of the service's budget. A pick in place of an instance that was never reached does not, nor does one in place of a trial, which was the proxy's own experiment.</param>
/// <param name="MayReturn">Whether the same instance may be asked again when there is no other: after a while, or at once where nothing but a kept connection was wrong.</param>
internal readonly record struct NextTry(RetryReason Reason, bool IsCharged, bool MayReturn = false);

/// <summary>What is known of an attempt's request when the attempt has not gone well.</summary>
/// <param name="IsIdempotent">Twice is as good as once.</param>
/// <param name="HasWholeBody">The body, if there is one, can be sent from its beginning once more.</param>
/// <param name="IsTrial">The attempt was the trial of a half-open circuit.</param>
internal readonly record struct AttemptedRequest(bool IsIdempotent, bool HasWholeBody, bool IsTrial);

/// <summary>
/// Says whether a request may go to another instance. Pure, so that every row of the table can be tested; whether there is another instance, and budget, is asked afterwards.
/// </summary>
internal static class RetryRule
{
    /// <summary>After an attempt without a response head.</summary>
    /// <param name="failure">What the instance did.</param>
    /// <param name="unsent">Whether it cannot have begun on the request.</param>
    /// <param name="request">The request.</param>
    /// <param name="settings">Of the service.</param>
    /// <param name="stale">Whether it was unsent because a kept connection had ended: that says nothing of the instance, which has others.</param>
    public static NextTry? AfterFailure(AttemptFailure failure, bool unsent, AttemptedRequest request, ServiceSettings settings, bool stale = false)
    {
        if (!request.HasWholeBody)
            return null;
        if (unsent)
            return new NextTry(RetryReason.Unsent, IsCharged: false, MayReturn: stale);
        if (!request.IsIdempotent || settings.Get(SettingKeys.RetryAttempts) == 0)
            return null;
        if (request.IsTrial)
            return new NextTry(RetryReason.Trial, IsCharged: false);
        return failure switch
        {
            AttemptFailure.Reset => new NextTry(RetryReason.Reset, IsCharged: true, MayReturn: true),
            AttemptFailure.Timeout => new NextTry(RetryReason.Timeout, IsCharged: true),
            // It answers, though not in HTTP: it would do so again.
            _ => null,
        };
    }

    /// <summary>After a response head that the caller has not seen.</summary>
    /// <param name="status">Its status.</param>
    /// <param name="isUnavailable">Whether it says in gRPC's way that the instance cannot serve. That does not mean that it has done nothing.</param>
    /// <param name="request">The request.</param>
    /// <param name="settings">Of the service.</param>
    public static NextTry? AfterHead(int status, bool isUnavailable, AttemptedRequest request, ServiceSettings settings)
    {
        var retries = settings.RetryStatus(status) || isUnavailable;
        if (!retries && !(request.IsTrial && settings.FailureStatus(status)))
            return null;
        if (!request.HasWholeBody || !request.IsIdempotent || settings.Get(SettingKeys.RetryAttempts) == 0)
            return null;
        return request.IsTrial ? new NextTry(RetryReason.Trial, IsCharged: false) : new NextTry(RetryReason.Status, IsCharged: true);
    }
}
