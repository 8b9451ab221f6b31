using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Admission;

/// <summary>Which requests may reach instances twice.</summary>
internal static class Repeatable
{
    /// <summary>The field by which a caller says that its instances tell a repeated request from a new one, whatever the method.</summary>
    public const string KeyField = "Idempotency-Key";

    /// <summary>True when twice is as good as once: by the method (RFC 9110, section 9.2.2), or because the caller says so.</summary>
    public static bool IsIdempotent(HttpRequest request) => IsIdempotent(request.Method) || request.Headers.ContainsKey(KeyField);

    /// <summary>True when an attempt at an instance, whatever comes of it before the response head, can be followed by one at another.</summary>
    /// <param name="context">The request.</param>
    /// <param name="mostKept">Bytes of a body that are kept so that they can be sent again.</param>
    public static bool CanGoElsewhere(HttpContext context, int mostKept) =>
        IsIdempotent(context.Request)
        && (context.Request.ContentLength <= mostKept || context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false });

    public static bool IsIdempotent(string method) =>
        HttpMethods.IsGet(method) || HttpMethods.IsHead(method) || HttpMethods.IsPut(method) || HttpMethods.IsDelete(method) || HttpMethods.IsOptions(method)
        || HttpMethods.IsTrace(method);
}
