using System.Globalization;
using System.Text;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>One generated exchange: what the caller sends and what the instance answers, as bytes, and the parts that both ends are compared by.</summary>
internal sealed class RoundTripCase
{
    private const string Token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    private static readonly string[] _knownRequestFields =
    [
        "Accept", "Accept-Language", "Authorization", "Cache-Control", "Cookie", "Date", "From", "If-Match", "If-None-Match", "If-Modified-Since", "Origin", "Pragma",
        "Range", "Referer", "User-Agent", "Warning", "traceparent", "X-Correlation-Id", "Accept-Charset", "Content-Type", "Content-Encoding", "Content-MD5", "Allow",
        "Expires", "Last-Modified", "DNT", "Sec-Fetch-Mode", "grpc-timeout", "baggage", "Forwarded", "Priority",
    ];

    private static readonly string[] _knownResponseFields =
    [
        "Accept-Ranges", "Age", "Cache-Control", "ETag", "Location", "Server", "Set-Cookie", "Vary", "WWW-Authenticate", "Content-Type", "Content-Encoding", "Allow",
        "Content-Language", "Content-Disposition", "Expires", "Last-Modified", "Retry-After", "Strict-Transport-Security", "X-Frame-Options", "Alt-Svc", "Warning",
        "Content-Range", "Pragma", "Link", "Access-Control-Allow-Origin", "X-Request-Id",
    ];

    private readonly Random _random;

    public RoundTripCase(int number, Random random)
    {
        _random = random;
        Number = number;
        Method = random.Next(4) switch
        {
            0 => Pick("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT"),
            1 => Text(Token, 1, 12) + "x",
            _ => Pick("GET", "GET", "HEAD", "POST"),
        };
        // Dots would now and then make dot segments, which are refused.
        Target = "/" + Text(Enumerable.Range(0x21, 0x5e).Select(b => (char)b).Where(c => c is not ('#' or '.' or '%' or '?')), 0, 60)
            + (random.Next(2) == 0 ? "?" + Text(Enumerable.Range(0x21, 0x5e).Select(b => (char)b).Where(c => c != '#'), 0, 60) : "") + (random.Next(3) == 0 ? "%2F%zz%" : "");
        RequestFields = Fields(_knownRequestFields);
        ResponseFields = Fields(_knownResponseFields);
        (RequestBody, RequestChunked) = Body(canBeNone: true);
        (ResponseBody, ResponseChunked) = Body(canBeNone: false);
        Status = random.Next(4) == 0 ? Pick("201 Made", "206 Part", "301 Off", "404 None here", "422 No", "500 Oh", "503 Busy", "799 Odd") : "200 OK";
    }

    public int Number { get; }

    public string Method { get; }

    public string Target { get; }

    public string Status { get; }

    /// <summary>Names are unique but for case; one line each.</summary>
    public IReadOnlyList<(string Name, string Value)> RequestFields { get; }

    /// <summary>Names may repeat.</summary>
    public IReadOnlyList<(string Name, string Value)> ResponseFields { get; }

    /// <summary>Null: neither length nor chunks.</summary>
    public byte[]? RequestBody { get; }

    public bool RequestChunked { get; }

    public byte[]? ResponseBody { get; }

    public bool ResponseChunked { get; }

    public byte[] Request(string host) =>
        Message($"{Method} {Target} HTTP/1.1\r\nHost: {host}\r\nX-Case: {Number}\r\n", RequestFields, RequestBody, RequestChunked, true);

    /// <param name="head">True when the request was a HEAD: the framing fields without the body.</param>
    public byte[] Response(bool head) => Message($"HTTP/1.1 {Status}\r\nX-Case: {Number}\r\n", ResponseFields, ResponseBody, ResponseChunked, !head);

    private static void Write(MemoryStream to, string text) => to.Write(Encoding.Latin1.GetBytes(text));

    private byte[] Message(string start, IReadOnlyList<(string Name, string Value)> fields, byte[]? body, bool chunked, bool withBody)
    {
        using var message = new MemoryStream();
        Write(message, start);
        foreach (var (name, value) in fields)
            Write(message, $"{name}:{new string(' ', _random.Next(3))}{value}{new string('\t', _random.Next(2))}\r\n");
        if (body is not null)
            Write(message, chunked ? "Transfer-Encoding: chunked\r\n" : $"Content-Length: {body.Length}\r\n");
        Write(message, "\r\n");
        if (body is null || !withBody)
            return message.ToArray();
        if (!chunked)
        {
            message.Write(body);
            return message.ToArray();
        }

        for (var at = 0; at < body.Length;)
        {
            var size = Math.Min(body.Length - at, _random.Next(5) == 0 ? 1 + _random.Next(20) : 1 + _random.Next(20_000));
            var extension = _random.Next(10) == 0 ? ";x=\"y\"" : "";
            Write(message, size.ToString(_random.Next(2) == 0 ? "x" : "X4", CultureInfo.InvariantCulture) + extension + "\r\n");
            message.Write(body, at, size);
            Write(message, "\r\n");
            at += size;
        }

        Write(message, "0\r\n\r\n");
        return message.ToArray();
    }

    private List<(string Name, string Value)> Fields(string[] known)
    {
        var request = known == _knownRequestFields;
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var fields = new List<(string, string)>();
        for (var i = _random.Next(14); i > 0; i--)
        {
            var name = _random.Next(2) == 0 ? Pick(known) : "X-" + Text(Token, 1, 20);
            if (_random.Next(3) == 0)
                name = _random.Next(2) == 0 ? name.ToLowerInvariant() : name.ToUpperInvariant();
            // Repeated lines of a request arrive joined, which docs/limits.md says and LimitTests pins.
            if (names.Add(name) || !request)
                fields.Add((name, Value()));
        }

        return fields;
    }

    private string Value() => Text(Enumerable.Range(0x20, 0xe0).Append('\t').Select(b => (char)b).Where(c => c != 0x7f), 0, _random.Next(30) == 0 ? 3000 : 60).Trim(' ', '\t');

    private (byte[]? Body, bool Chunked) Body(bool canBeNone)
    {
        if (canBeNone && _random.Next(2) == 0)
            return (null, false);
        var length = _random.Next(12) switch { 0 => 0, 1 => _random.Next(200 * 1024), 2 or 3 => _random.Next(20_000), _ => _random.Next(600) };
        var body = new byte[length];
        _random.NextBytes(body);
        return (body, _random.Next(2) == 0);
    }

    private T Pick<T>(params T[] from) => from[_random.Next(from.Length)];

    private string Text(IEnumerable<char> from, int least, int most)
    {
        var characters = from.ToArray();
        return new string([.. Enumerable.Range(0, least + _random.Next(most - least + 1)).Select(_ => characters[_random.Next(characters.Length)])]);
    }
}
