namespace Alicia.Proxy.Api;

/// <summary>Body of a registration, for the OpenAPI document; <see cref="RequestReaders.Registration"/> reads it, and a test holds the two together.</summary>
internal sealed record RegistrationDocument(
    string Host, int Port, string? InstanceId, string? Scheme, string? Protocol, int? Weight, int? MaxConnections, int? TtlSeconds,
    IReadOnlyDictionary<string, object>? HealthCheck, IReadOnlyDictionary<string, string>? Metadata);

/// <summary>Body of a PATCH of an instance, for the OpenAPI document.</summary>
internal sealed record InstancePatchDocument(int? Weight, int? MaxConnections, IReadOnlyDictionary<string, string?>? Metadata, string? State);

/// <summary>Body of a circuit request, for the OpenAPI document.</summary>
internal sealed record CircuitRequestDocument(string State);

/// <summary>Body of PUT and PATCH of a service, for the OpenAPI document: settings, at the top level or here, and routes.</summary>
internal sealed record ServiceEditDocument(string? Algorithm, int? MaxConnections, IReadOnlyDictionary<string, object>? Settings, IReadOnlyList<RouteDocument>? Routes);

/// <summary>What became of something that was removed.</summary>
/// <param name="State"><c>removed</c>, or <c>draining</c> while requests are in flight.</param>
/// <param name="InFlight">Requests in flight.</param>
internal sealed record RemovalDocument(string State, int InFlight)
{
    public static IResult Result(int inFlight) => inFlight == 0
        ? Results.Json(new { State = "removed" }, Wire.Json)
        : Results.Json(new RemovalDocument("draining", inFlight), Wire.Json, statusCode: StatusCodes.Status202Accepted);
}
