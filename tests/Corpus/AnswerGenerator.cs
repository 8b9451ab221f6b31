using System.Globalization;
using System.Text;

namespace Alicia.Proxy.Corpus;

/// <summary>
/// Makes answers as an instance might send them: most of them right, many a little wrong, in ways that have been used against proxies or that nobody has thought of. Everything follows from the seed.
/// </summary>
public sealed class AnswerGenerator(int seed)
{
    private static readonly string[] StatusLines =
    [
        "HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 201 Created", "HTTP/1.0 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified", "HTTP/1.1 404 Not Found",
        "HTTP/1.1 500 Oh dear", "HTTP/1.1 206", "HTTP/1.1 299 ", "HTTP/1.1 205 Reset",
    ];

    private static readonly string[] OddStatusLines =
    [
        "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/2 200 OK", "HTTP/2.0 200 OK", "http/1.1 200 OK", "HTTP/1.1 099 Low", "HTTP/1.1 200\tOK", "ICY 200 OK", "HTTP/1.1", "", " HTTP/1.1 200 OK",
        "HTTP/1.1 200OK", "HTTP/1.1 +20 OK", "HTTP/1.12 200 OK", "HTTP/1.1 200 O\0K",
    ];

    private static readonly string[] Fields =
    [
        "Content-Type: text/plain", "Server: x/1.0", "Date: Tue, 15 Nov 1994 08:12:31 GMT", "ETag: \"abc\"", "Cache-Control: no-cache, private", "Set-Cookie: a=b; Path=/", "Set-Cookie: c=d", "X-Own: value",
        "x-lower:no-blank", "X-Blanks: \t padded \t ", "X-Empty:", "Vary: Accept-Encoding", "X-Bytes: caf\u00e9 \u00ff", "Connection: keep-alive", "Connection: close", "Connection: X-Hop", "X-Hop: 1",
        "Keep-Alive: timeout=5", "Location: /elsewhere?x=1", "X-Own: again", "X-Long: " + "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789",
    ];

    private static readonly string[] OddFields =
    [
        "X-Space : v", " X-Fold: v", "\tfolded", "X-Nul: a\0b", "X-Return: a\rb", "X-Ctl: a\u0001b", "X-Del: a\u007fb", "No colon", ": empty", "X(Paren): v", "X-\u00e9: v", "Content-Length: 3", "Content-Length: +3",
        "Content-Length: 3, 3", "Content-Length: -1", "Content-Length: 0x3", "Content-Length: ", "Content-Length: 99999999999999999999", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding : chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding:\u000bchunked",
    ];

    private static readonly string[] LineEnds = ["\n", "\r", "\r\r\n", "\n\r", "", "\r\n\r\n", "\0\r\n"];

    private static readonly string[] OddSizes = ["", "g", "-1", "+1", "0x1", " 1", "1 x", "1;\0", "1;a\rb", "1000000000000000", "00000000000000001", "1\t;a=b", "1;a=\"b\""];

    private readonly Random _random = new(seed);
    private readonly StringBuilder _text = new();

    /// <summary>The next answer.</summary>
    /// <param name="isHead">Whether it answers HEAD.</param>
    /// <param name="oddity">How many of a hundred places are odd.</param>
    public byte[] Next(bool isHead, int oddity)
    {
        _text.Clear();
        while (_random.Next(20) == 0)
            _text.Append("HTTP/1.1 ").Append(Pick(["100 Continue", "103 Early Hints", "102 Processing"])).Append(End(oddity)).Append("Link: x").Append(End(oddity)).Append(End(oddity));
        var status = Odd(oddity) ? Pick(OddStatusLines) : Pick(StatusLines);
        _text.Append(status).Append(End(oddity));
        var framing = _random.Next(8);
        var body = Body(_random.Next(200) == 0 ? _random.Next(40_000) : _random.Next(120));
        var bodiless = status.Contains(" 204", StringComparison.Ordinal) || status.Contains(" 304", StringComparison.Ordinal);
        if (status.Contains(" 205", StringComparison.Ordinal))
            body = "";
        var count = _random.Next(7);
        var place = _random.Next(count + 1);
        for (var i = 0; i <= count; i++)
        {
            if (i == place && framing < 7)
                _text.Append(framing < 4 ? string.Create(CultureInfo.InvariantCulture, $"Content-Length: {body.Length}") : Pick(["Transfer-Encoding: chunked", "transfer-encoding: Chunked"])).Append(End(oddity));
            if (i < count)
                _text.Append(Odd(oddity) ? Pick(OddFields) : Pick(Fields)).Append(End(oddity));
        }

        _text.Append(End(oddity));
        if (!isHead && !bodiless)
        {
            if (framing is >= 4 and < 7)
                AppendChunks(body, oddity);
            else
                _text.Append(body);
        }

        return Mutate(Encoding.Latin1.GetBytes(_text.ToString()), oddity);
    }

    private void AppendChunks(string body, int oddity)
    {
        for (var at = 0; at < body.Length;)
        {
            var size = Math.Min(_random.Next(1, 1 + Math.Max(1, body.Length / 2)), body.Length - at);
            if (Odd(oddity))
                _text.Append(Pick(OddSizes));
            else
                _text.Append(size.ToString(_random.Next(2) == 0 ? "x" : "X", CultureInfo.InvariantCulture)).Append(_random.Next(10) == 0 ? ";ext=1" : "");
            _text.Append(End(oddity)).Append(body, at, size).Append(End(oddity));
            at += size;
        }

        _text.Append(_random.Next(10) == 0 ? "000" : "0").Append(End(oddity));
        while (_random.Next(6) == 0)
            _text.Append(Odd(oddity) ? Pick(OddFields) : "X-Trailer: t").Append(End(oddity));
        _text.Append(End(oddity));
    }

    /// <summary>Changes some bytes without a plan.</summary>
    private byte[] Mutate(byte[] bytes, int oddity)
    {
        while (bytes.Length > 0 && Odd(oddity * 4))
        {
            var at = _random.Next(bytes.Length);
            bytes = _random.Next(4) switch
            {
                0 => [.. bytes[..at], (byte)_random.Next(256), .. bytes[(at + 1)..]],
                1 => [.. bytes[..at], .. bytes[(at + 1)..]],
                2 => [.. bytes[..at], (byte)"\r\n\0 :\t;0a"[_random.Next(9)], .. bytes[at..]],
                _ => bytes[..at],
            };
        }

        return bytes;
    }

    private string Body(int length) => string.Create(length, _random, static (span, random) =>
    {
        // Bytes that look like framing now and then.
        for (var i = 0; i < span.Length; i++)
            span[i] = random.Next(12) == 0 ? "\r\n0\0:"[random.Next(5)] : (char)random.Next(32, 256);
    });

    private string End(int oddity) => Odd(oddity) && _random.Next(4) == 0 ? Pick(LineEnds) : "\r\n";

    private bool Odd(int oddity) => _random.Next(100) < oddity;

    private string Pick(string[] from) => from[_random.Next(from.Length)];
}
