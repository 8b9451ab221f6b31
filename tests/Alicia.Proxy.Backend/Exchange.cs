using System.Text.Json;

namespace Alicia.Proxy.Backend;

/// <summary>One data request while it is answered; knows how to end an answer so that the counts stay exact.</summary>
internal sealed class Exchange(HttpContext context, Script script, Traffic.Flight flight, string name)
{
    public static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        PropertyNameCaseInsensitive = false,
        UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow,
    };

    public HttpContext Context => context;
    public HttpRequest Request => context.Request;
    public HttpResponse Response => context.Response;
    public Script Script => script;
    public Traffic.Flight Flight => flight;

    /// <summary>This upstream's own name.</summary>
    public string Name => name;

    /// <summary>The other side no longer wants the answer.</summary>
    public CancellationToken Gone => context.RequestAborted;

    /// <summary>Sends the last part of the body, which may be empty, and ends the answer.</summary>
    public async Task FinishAsync(ReadOnlyMemory<byte> last = default)
    {
        Gone.ThrowIfCancellationRequested();
        flight.Land();
        if (!last.IsEmpty)
            await Response.Body.WriteAsync(last, Gone);
        await Response.CompleteAsync();
    }

    /// <summary>Sends <paramref name="document"/> as the whole body, with its length.</summary>
    public Task JsonAsync(object document)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(document, Json);
        Response.ContentType = "application/json";
        Response.ContentLength = body.Length;
        return FinishAsync(body);
    }

    /// <summary>Answers <paramref name="status"/> with a small body where that status may have one.</summary>
    public Task StatusAsync(int status)
    {
        Response.StatusCode = status;
        return status is 204 or 205 or 304 ? FinishAsync() : JsonAsync(new { name, status });
    }
}
