using System.Text;
using Microsoft.Net.Http.Headers;

namespace Alicia.Proxy.Direct;

/// <summary>
/// Names of fields that answers usually have, found by their bytes without making a string. The strings are the server's own, which it recognises by reference.
/// </summary>
internal static class KnownFields
{
    /// <summary>Of a name that is not known.</summary>
    public const int None = -1;

    /// <summary>At most 64, so that a set of them fits in a word.</summary>
    private static readonly string[] Names =
    [
        HeaderNames.ContentLength, HeaderNames.TransferEncoding, HeaderNames.Connection, HeaderNames.GrpcStatus, HeaderNames.ContentType, HeaderNames.Date, HeaderNames.Server,
        HeaderNames.AcceptRanges, HeaderNames.AccessControlAllowCredentials, HeaderNames.AccessControlAllowHeaders, HeaderNames.AccessControlAllowMethods,
        HeaderNames.AccessControlAllowOrigin, HeaderNames.AccessControlExposeHeaders, HeaderNames.AccessControlMaxAge, HeaderNames.Age, HeaderNames.Allow, HeaderNames.AltSvc,
        HeaderNames.CacheControl, HeaderNames.ContentDisposition, HeaderNames.ContentEncoding, HeaderNames.ContentLanguage, HeaderNames.ContentLocation, HeaderNames.ContentRange,
        HeaderNames.ContentSecurityPolicy, HeaderNames.ETag, HeaderNames.Expires, HeaderNames.GrpcMessage, HeaderNames.KeepAlive, HeaderNames.LastModified, HeaderNames.Link,
        HeaderNames.Location, HeaderNames.Pragma, HeaderNames.ProxyAuthenticate, HeaderNames.RetryAfter, HeaderNames.SetCookie, HeaderNames.StrictTransportSecurity,
        HeaderNames.Trailer, HeaderNames.Upgrade, HeaderNames.Vary, HeaderNames.Via, HeaderNames.Warning, HeaderNames.WWWAuthenticate, HeaderNames.XContentTypeOptions,
        HeaderNames.XFrameOptions, HeaderNames.XPoweredBy, XRequestId, HeaderNames.XXSSProtection,
    ];

    private const string XRequestId = "X-Request-ID";

    // The positions of these in the list.
    public const int ContentLength = 0;
    public const int TransferEncoding = 1;
    public const int Connection = 2;
    public const int GrpcStatus = 3;

    /// <summary>Positions whose values are hardly ever the same twice, or secret: not worth keeping.</summary>
    private static readonly ulong Varying = SetOf(HeaderNames.SetCookie, HeaderNames.Location, HeaderNames.ETag, XRequestId, HeaderNames.LastModified, HeaderNames.ContentRange);

    private const int Slots = 256;
    private static readonly (byte[] Bytes, int Id)[] Table = MakeTable();

    public static int Count => Names.Length;

    public static string NameOf(int id) => Names[id];

    /// <summary>True when the next answer of the same instance may well have the same value.</summary>
    public static bool IsWorthKeeping(int id) => (Varying & (1UL << id)) == 0;

    /// <summary>The position of a name in whatever case, or <see cref="None"/>.</summary>
    public static int Find(ReadOnlySpan<byte> name)
    {
        if (name.IsEmpty)
            return None;
        for (var i = HashOf(name); ; i = (i + 1) % Slots)
        {
            ref readonly var entry = ref Table[i];
            if (entry.Bytes is null)
                return None;
            if (entry.Bytes.Length == name.Length && Ascii.EqualsIgnoreCase(entry.Bytes, name))
                return entry.Id;
        }
    }

    // Length, and letters whose case does not count: the first, one in the middle, the last.
    private static int HashOf(ReadOnlySpan<byte> name) =>
        ((name.Length * 37) + ((name[0] | 0x20) * 5) + ((name[name.Length / 2] | 0x20) * 11) + ((name[^1] | 0x20) * 3)) % Slots;

    private static (byte[] Bytes, int Id)[] MakeTable()
    {
        var table = new (byte[] Bytes, int Id)[Slots];
        for (var id = 0; id < Names.Length; id++)
        {
            var bytes = Encoding.ASCII.GetBytes(Names[id]);
            var i = HashOf(bytes);
            while (table[i].Bytes is not null)
                i = (i + 1) % Slots;
            table[i] = (bytes, id);
        }

        return table;
    }

    private static ulong SetOf(params ReadOnlySpan<string> names)
    {
        var set = 0UL;
        foreach (var name in names)
            set |= 1UL << Array.IndexOf(Names, name);
        return set;
    }
}
