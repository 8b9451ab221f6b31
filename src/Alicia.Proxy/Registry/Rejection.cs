namespace Alicia.Proxy.Registry;

/// <summary>Why the registry refused a change; each kind is one HTTP status.</summary>
internal enum RejectionKind
{
    /// <summary>The input breaks a rule (400).</summary>
    Invalid,

    /// <summary>The service or instance is not registered (404).</summary>
    NotFound,

    /// <summary>The change contradicts configuration or another service (409).</summary>
    Conflict,

    /// <summary>The caller's revision is not the current one (412).</summary>
    PreconditionFailed,

    /// <summary>The store could not write; nothing changed (503).</summary>
    StoreUnavailable,
}

/// <summary>A refused change, in words for the caller. Refusals are values; an exception from a change is a bug.</summary>
/// <param name="Kind">What kind of refusal.</param>
/// <param name="Detail">One sentence that names what is at fault and the rule.</param>
/// <param name="Errors">Field to messages, where fields are at fault.</param>
internal sealed record Rejection(RejectionKind Kind, string Detail, IReadOnlyDictionary<string, string[]>? Errors = null)
{
    public static Rejection UnknownService(string service) => new(RejectionKind.NotFound, $"Service '{service}' is not registered.");

    public static Rejection UnknownInstance(string service, string instance) =>
        new(RejectionKind.NotFound, $"Instance '{instance}' of service '{service}' is not registered.");

    public static Rejection SetByConfiguration(string key) =>
        new(RejectionKind.Conflict, $"Configuration sets this ({key}); change it there.");
}

/// <summary>What came of a change: a value, or a refusal; and the revision that contains it.</summary>
internal readonly record struct ChangeResult<T>(T? Value, Rejection? Rejection, long Revision)
{
    public bool Accepted => Rejection is null;
}
