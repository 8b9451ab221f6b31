using System.Buffers;
using System.Text;
using Alicia.Proxy.Http1;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Holds a request of HTTP/2 against the grammar of HTTP/1.1, which its parts may go on in. The server checks most of it and takes the frames apart; names, values and targets can hold what would end a
/// line, or be a field, one hop on.
/// </summary>
internal static class Http2Request
{
    private static readonly SearchValues<char> Token = SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private static readonly SearchValues<char> Controls = SearchValues.Create([.. Enumerable.Range(0, 32).Where(c => c != '\t').Append(0x7f).Select(c => (char)c)]);

    /// <summary>A name of 253 characters and a port.</summary>
    private const int MaxHost = 260;

    /// <summary>Null when it could be written as a request of HTTP/1.1.</summary>
    public static RequestFault? Check(HttpRequest request, string rawTarget, RequestLimits limits)
    {
        if (rawTarget.Length > limits.TargetBytes)
            return RequestFault.TargetTooLong;
        if (rawTarget.AsSpan().ContainsAnyExceptInRange('!', '~'))
            return RequestFault.Target;
        if (rawTarget.Contains('#'))
            return RequestFault.Fragment;
        if (request.Method.Length == 0 || request.Method.AsSpan().ContainsAnyExcept(Token))
            return RequestFault.Method;
        var host = request.Headers.Host.ToString();
        if (host.Length > MaxHost || !Ascii.IsValid(host))
            return RequestFault.Host;
        Span<byte> bytes = stackalloc byte[MaxHost];
        if (host.Length > 0 && !Syntax.IsHost(bytes[..Encoding.ASCII.GetBytes(host, bytes)]))
            return RequestFault.Host;
        if (request.Headers.TransferEncoding.Count > 0)
            return RequestFault.TransferCoding;
        if (request.Headers.Connection.Count > 0 || request.Headers.KeepAlive.Count > 0 || request.Headers.Upgrade.Count > 0 || request.Headers.ContainsKey("Proxy-Connection"))
            return RequestFault.ConnectionField;
        foreach (var (name, values) in request.Headers)
        {
            if (name.AsSpan(name[0] == ':' ? 1 : 0).ContainsAnyExcept(Token))
                return RequestFault.FieldName;
            foreach (var value in values)
            {
                if (value.AsSpan().ContainsAny(Controls))
                    return RequestFault.ControlCharacter;
            }
        }

        return null;
    }
}
