using System.IO.Hashing;
using System.Net;
using System.Runtime.InteropServices;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Balancing;

/// <summary>What <see cref="ConsistentHash"/> keeps requests together by: a field, a cookie, the caller's address or the path, as a number. Reading one allocates nothing.</summary>
internal sealed class RequestKey
{
    private readonly string _by;
    private readonly string? _name;

    public RequestKey(ServiceSettings settings) => (_by, _name) = (settings.Get(SettingKeys.HashBy), settings.Get(SettingKeys.HashName));

    /// <summary>The request's key; 0 when it has none: no such field or cookie, or an empty one.</summary>
    public ulong Of(HttpContext request) => _by switch
    {
        "field" => OfText(First(request.Request.Headers[_name!])),
        "cookie" => CookieFields.TryFind(request.Request, _name!, 0, out var value, out _) ? OfText(value) : 0,
        "path" => OfText(request.Request.Path.Value),
        _ => OfAddress(request.Connection.RemoteIpAddress),
    };

    /// <summary>The key of a text; 0 for an empty one.</summary>
    public static ulong OfText(ReadOnlySpan<char> text) => text.IsEmpty ? 0 : Math.Max(1, XxHash3.HashToUInt64(MemoryMarshal.AsBytes(text)));

    private static ReadOnlySpan<char> First(Microsoft.Extensions.Primitives.StringValues values) => values.Count == 0 ? default : values[0];

    private static ulong OfAddress(IPAddress? address)
    {
        if (address is null)
            return 0;
        // A caller over IPv4 is the same one on a listener that takes both.
        Span<byte> bytes = stackalloc byte[16];
        if (!address.TryWriteBytes(bytes, out var length))
            return 0;
        var own = address.IsIPv4MappedToIPv6 ? bytes[12..] : bytes[..length];
        return Math.Max(1, XxHash3.HashToUInt64(own));
    }
}
