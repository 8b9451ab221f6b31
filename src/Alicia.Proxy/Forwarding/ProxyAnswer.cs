using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Alicia.Proxy.Connections;

namespace Alicia.Proxy.Forwarding;

/// <summary>Writes the answers that the proxy makes itself: problem documents with <c>Proxy-Status</c>, or a gRPC status for gRPC callers.</summary>
internal static class ProxyAnswer
{
    // Only for JSON: an apostrophe is an apostrophe.
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes <paramref name="error"/> if no response has begun.</summary>
    /// <param name="context">The request.</param>
    /// <param name="error">What happened.</param>
    /// <param name="detail">One sentence for this occurrence; must not repeat anything secret from the request.</param>
    /// <param name="attempts">How often the request was given to an instance.</param>
    public static Task WriteAsync(HttpContext context, ProxyError error, string detail, int attempts = 0)
    {
        var response = context.Response;
        if (response.HasStarted)
            return Task.CompletedTask;
        response.Clear();
        RequestRecord.Of(context)?.Answered(error);
        response.Headers[RequestIds.Field] = context.TraceIdentifier;
        response.Headers["Proxy-Status"] = attempts > 1 ? $"alicia; error={error.Type}; attempts={attempts}" : $"alicia; error={error.Type}";
        if (error.RetryAfterSeconds > 0)
            response.Headers.RetryAfter = error.RetryAfterSeconds.ToString(CultureInfo.InvariantCulture);
        if (error.Status == StatusCodes.Status405MethodNotAllowed)
            response.Headers.Allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE";
        if (IsGrpc(context.Request))
            return WriteGrpcAsync(response, error, detail);

        response.StatusCode = error.Status;
        response.ContentType = "application/problem+json";
        var body = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(body, Readable))
        {
            json.WriteStartObject();
            json.WriteString("type", "about:blank");
            json.WriteString("title", error.Title);
            json.WriteNumber("status", error.Status);
            json.WriteString("detail", detail);
            json.WriteString("error", error.Type);
            json.WriteString("request_id", context.TraceIdentifier);
            json.WriteEndObject();
        }

        response.ContentLength = body.WrittenCount;
        return SendAsync(response, HttpMethods.IsHead(context.Request.Method) ? default : body.WrittenMemory);
    }

    /// <summary>An answer that nothing was waited for: a caller who sends such requests without end must not keep the thread that looks after the sockets.</summary>
    private static async Task SendAsync(HttpResponse response, ReadOnlyMemory<byte> body)
    {
        await FairShare.ToPool();
        await response.Body.WriteAsync(body);
    }

    public static bool IsGrpc(HttpRequest request) =>
        request.ContentType is { } type && type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase)
        && (type.Length == 16 || type[16] is '+' or ';');

    /// <summary>A gRPC answer without a message: status and message stand in the head, which is all there is.</summary>
    private static async Task WriteGrpcAsync(HttpResponse response, ProxyError error, string detail)
    {
        response.StatusCode = StatusCodes.Status200OK;
        response.ContentType = "application/grpc";
        response.Headers["grpc-status"] = error.GrpcStatus.ToString(CultureInfo.InvariantCulture);
        response.Headers["grpc-message"] = Uri.EscapeDataString(detail).Replace("%20", " ", StringComparison.Ordinal);
        await FairShare.ToPool();
        await response.CompleteAsync();
    }
}
