using System.Net;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Forwarding;

/// <summary>What becomes of the fields of an instance's answer on their way to the caller.</summary>
internal static class ResponseFields
{
    /// <summary>
    /// The HTTP client takes any three digits for a status and undoes <c>chunked</c> only: with another coding left on, the caller would get a body that is not the one
    /// the fields speak of.
    /// </summary>
    public static bool IsReadable(HttpResponseMessage response) =>
        (int)response.StatusCode >= 100
        && (response.StatusCode != HttpStatusCode.ResetContent || response.Content.Headers.ContentLength is null or 0)
        && (!response.Headers.NonValidated.TryGetValues("Transfer-Encoding", out var codings) || HopByHop.IsChunkedAlone(ToValues(codings)));

    /// <summary>Hands the fields of an instance's answer on to the caller, but for those that are between the instance and the proxy.</summary>
    public static void Copy(HttpContext context, HttpResponseMessage response)
    {
        var target = context.Response.Headers;
        var connection = response.Headers.NonValidated.TryGetValues("Connection", out var values) ? ToValues(values) : StringValues.Empty;
        var mayNominate = HopByHop.MayNominate(connection);
        var keepTrailer = HttpProtocol.IsHttp2(context.Request.Protocol);
        // An instance that has an id of its own for the request tells that one.
        target[RequestIds.Field] = context.TraceIdentifier;
        foreach (var (name, value) in response.Headers.NonValidated)
        {
            if ((HopByHop.IsFixed(name) && !(keepTrailer && name.Equals("Trailer", StringComparison.OrdinalIgnoreCase)))
                || (mayNominate && HopByHop.IsNominated(connection, name)))
            {
                continue;
            }

            target[name] = ToValues(value);
        }

        foreach (var (name, value) in response.Content.Headers.NonValidated)
        {
            if (!mayNominate || !HopByHop.IsNominated(connection, name))
                target[name] = ToValues(value);
        }

        // As above: with a transfer coding, a length is not the message's; and 204 has neither body nor length, whatever it says.
        if (response.Headers.TransferEncodingChunked == true || (response.StatusCode == HttpStatusCode.NoContent && target.ContentLength > 0))
            target.Remove("Content-Length");
    }

    /// <summary>The values of a field as the server takes them, in their order.</summary>
    public static StringValues ToValues(in System.Net.Http.Headers.HeaderStringValues values)
    {
        if (values.Count == 1)
            return values.ToString();
        var array = new string[values.Count];
        var i = 0;
        foreach (var value in values)
            array[i++] = value;
        return array;
    }
}
