using System.Text.Json;
using Alicia.Proxy.Registry.Documents;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Api;

/// <summary>Reads request bodies: at most 64 KiB, one JSON object, no field twice.</summary>
internal static class WireBody
{
    public const int MaxBytes = 64 * 1024;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 16 };

    /// <summary>The body as an object to read from.</summary>
    /// <returns>Null with the answer to give in <c>Problem</c>.</returns>
    public static async Task<(WireObject? Body, IResult? Problem)> ReadAsync(HttpContext context)
    {
        var (bytes, tooLarge) = await ReadBytesAsync(context);
        if (tooLarge)
            return (null, Problems.Of(StatusCodes.Status413PayloadTooLarge, $"The body must be at most {MaxBytes} bytes."));
        if (bytes.Length == 0)
            return (null, Problems.Of(StatusCodes.Status400BadRequest, "A JSON body is required."));
        try
        {
            using var document = JsonDocument.Parse(bytes, Strict);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                return (null, Problems.Of(StatusCodes.Status400BadRequest, "The body must be a JSON object."));
            ReadNames(document.RootElement);
            return (new WireObject(document.RootElement.Clone(), "", new FaultList()), null);
        }
        catch (JsonException e)
        {
            return (null, Problems.Of(StatusCodes.Status400BadRequest, $"The body is not valid JSON: {e.Message}"));
        }
        catch (InvalidOperationException)
        {
            return (null, Problems.Of(StatusCodes.Status400BadRequest, "A field's name is not valid Unicode text."));
        }
    }

    /// <summary>Reads every name once: half a surrogate pair, or bytes that are no UTF-8, make a name that nobody could be told of.</summary>
    /// <exception cref="InvalidOperationException">A name is no text.</exception>
    private static void ReadNames(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in element.EnumerateArray())
                ReadNames(item);
        }
        else if (element.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in element.EnumerateObject())
            {
                _ = property.Name;
                ReadNames(property.Value);
            }
        }
    }

    private static async Task<(ReadOnlyMemory<byte> Bytes, bool TooLarge)> ReadBytesAsync(HttpContext context)
    {
        if (context.Request.ContentLength > MaxBytes)
            return (default, true);
        var buffer = new MemoryStream();
        var chunk = new byte[8192];
        int read;
        while ((read = await context.Request.Body.ReadAsync(chunk, context.RequestAborted)) > 0)
        {
            buffer.Write(chunk, 0, read);
            if (buffer.Length > MaxBytes)
                return (default, true);
        }

        return (buffer.GetBuffer().AsMemory(0, (int)buffer.Length), false);
    }
}
