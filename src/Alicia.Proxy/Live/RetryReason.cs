namespace Alicia.Proxy.Live;

/// <summary>Why a request went to another instance, or to the same once more; the metric label <c>reason</c>.</summary>
internal enum RetryReason
{
    /// <summary>The instance could not be reached: nothing had been sent, and another was picked.</summary>
    Unsent,

    /// <summary>The instance closed or reset the connection before it answered.</summary>
    Reset,

    /// <summary>The response head did not come in time.</summary>
    Timeout,

    /// <summary>The instance answered with a status that is worth another try.</summary>
    Status,

    /// <summary>The request was the trial of a half-open circuit, and the trial failed.</summary>
    Trial,
}
