using System.Globalization;
using System.Text.Json.Serialization;
using Alicia.Proxy.Registry;
using Microsoft.AspNetCore.WebUtilities;

namespace Alicia.Proxy.Api;

/// <summary>RFC 9457 problem documents for the management API.</summary>
internal static class Problems
{
    public static IResult Of(int status, string detail, IReadOnlyDictionary<string, string[]>? errors = null, int? retryAfter = null) =>
        new ProblemResult(new ProblemDocument("about:blank", ReasonPhrases.GetReasonPhrase(status), status, detail, null, errors), retryAfter);

    /// <summary>The answer to a refused change.</summary>
    public static IResult Of(Rejection rejection) => rejection.Kind switch
    {
        RejectionKind.Invalid => Of(StatusCodes.Status400BadRequest, rejection.Detail, rejection.Errors),
        RejectionKind.NotFound => Of(StatusCodes.Status404NotFound, rejection.Detail),
        RejectionKind.Conflict => Of(StatusCodes.Status409Conflict, rejection.Detail, rejection.Errors),
        RejectionKind.PreconditionFailed => Of(StatusCodes.Status412PreconditionFailed, rejection.Detail),
        RejectionKind.StoreUnavailable => Of(StatusCodes.Status503ServiceUnavailable, rejection.Detail, retryAfter: 5),
        _ => throw new ArgumentOutOfRangeException(nameof(rejection), rejection.Kind, null),
    };

    /// <summary>Fields that could not be read.</summary>
    public static IResult Invalid(Registry.Validation.FaultList faults) =>
        Of(StatusCodes.Status400BadRequest, "The request is not valid.", faults.ToErrors());

    private sealed class ProblemResult(ProblemDocument document, int? retryAfter) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.StatusCode = document.Status;
            if (retryAfter is { } seconds)
                httpContext.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
            return httpContext.Response.WriteAsJsonAsync(document with { RequestId = httpContext.TraceIdentifier }, Wire.Json, "application/problem+json");
        }
    }
}

/// <summary>What went wrong, for people (title, detail) and programs (status, errors by field), and the id of the request as logs have it.</summary>
internal sealed record ProblemDocument(string Type, string Title, int Status, string Detail, string? RequestId,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyDictionary<string, string[]>? Errors);
