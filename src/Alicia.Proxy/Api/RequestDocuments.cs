namespace Alicia.Proxy.Api;

// These records are for the OpenAPI document only, doc comments included: RequestReaders reads the bodies, and tests hold the two together. A parameter
// without a default is a required field there.

/// <summary>A registration.</summary>
internal sealed record RegistrationDocument(
    string Host, int Port, string? InstanceId = null, string? Scheme = null, string? Protocol = null, int? Weight = null, int? MaxConnections = null,
    int? TtlSeconds = null, int? Priority = null, IReadOnlyDictionary<string, object>? HealthCheck = null, IReadOnlyDictionary<string, string>? Metadata = null);

/// <summary>A merge patch of an instance.</summary>
internal sealed record InstancePatchDocument(
    int? Weight = null, int? MaxConnections = null, IReadOnlyDictionary<string, string?>? Metadata = null, string? State = null);

/// <summary>What an operator wants a circuit to be: open or closed.</summary>
internal sealed record CircuitRequestDocument(string State);

/// <summary>Settings of a service, at the top level or under settings, and its routes.</summary>
internal sealed record ServiceEditDocument(
    string? Algorithm = null, int? MaxConnections = null, IReadOnlyDictionary<string, object>? Settings = null, IReadOnlyList<RouteDocument>? Routes = null);

/// <summary>What became of something that was removed.</summary>
/// <param name="State"><c>removed</c>, or <c>draining</c> while requests are in flight.</param>
/// <param name="InFlight">Requests in flight.</param>
internal sealed record RemovalDocument(string State, int InFlight)
{
    public static IResult Result(int inFlight) => inFlight == 0
        ? Results.Json(new { State = "removed" }, Wire.Json)
        : Results.Json(new RemovalDocument("draining", inFlight), Wire.Json, statusCode: StatusCodes.Status202Accepted);
}
