using System.Text;

namespace Alicia.Proxy.Corpus;

/// <summary>
/// Makes inputs for the request parser: requests put together from well-formed and ill-formed parts, then a few bytes changed, moved, doubled or lost. Seeded: the same seed gives the same inputs.
/// </summary>
internal sealed class RequestMutations(int seed)
{
    private static readonly string[] Methods = ["GET", "POST", "PUT", "OPTIONS", "FOO", "get", "CONNECT", "HEAD", "G\0T", ""];
    private static readonly string[] Targets = ["/", "/a?b=c", "*", "http://a/", "http://a:80/x?y", "https://a", "/#", "/%00", "a:80", "//", "http://b/", "/\u00e9", "/a b", "http://a#", "HTTP://A/"];
    private static readonly string[] Versions = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "HTTP/1.10"];
    private static readonly string[] Hosts = ["a", "a", "a", "A", "a:80", "b", "[::1]:8", "[::1", "a:", "a,b", "", " a\t", "a:65536", "[.:]", "a b"];

    private static readonly string[] Fields =
    [
        "X: 1", "x:\t2 ", "Y:", "Cookie: a=b; c=\"d\"", "Upgrade: websocket", "Connection: Upgrade", "Trailer: X", "Trailer: Host", "Expect: 100-continue", "X-Forwarded-For: 1", "Content-Length: 3",
        "Content-Length: 0", "content-length: 5", "Content-Length: +1", "Content-Length: 1,1", "Content-Length: 00000000000000000000000001", "Content-Length: 9999999999999999999", "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip", "transfer-encoding:CHUNKED", "Transfer-Encoding: chunked, chunked", " X: 1", "X : 1", "X", ": 1", "X: \u00ff", "X\u00e9: 1", "X: \0", "X: \r", "X: \n", "X: \u007f", "Host: a", "Host: b",
    ];

    private static readonly string[] ChunkLines =
        ["0", "1", "3", "3", "A", "a;b", "3;b=c", "3;b=\"c;\\\"d\"", "3 ; b = c", "3;", "3;b=", "3 ", "", "x", "00000003", "000000003", "80000000", "7fffffff", "-1", "3;\u00e9", "3;b=\"", "0;x", "3\t"];

    private static readonly string[] Trailers = ["X: 1", "Host: a", "Content-Length: 1", "X : 1", "x-forwarded-y: 1", "Y:", " Z: 1", "X"];

    private readonly Random _random = new(seed);

    /// <summary>Some requests, Latin-1.</summary>
    public string Next()
    {
        var text = new StringBuilder();
        for (var i = _random.Next(1, 4); i > 0; i--)
            Add(text);
        for (var i = _random.Next(8) switch { 0 or 1 => 1, 2 => 2, 3 => 5, _ => 0 }; i > 0; i--)
            Mutate(text);
        return text.ToString();
    }

    /// <summary>Where an input is cut: positions in it, ascending.</summary>
    public IReadOnlyList<int> Cuts(int length)
    {
        if (_random.Next(4) == 0)
            return [.. Enumerable.Range(1, Math.Max(0, length - 1))];
        return [.. Enumerable.Range(0, _random.Next(6)).Select(_ => _random.Next(length + 1)).Order()];
    }

    private void Add(StringBuilder text)
    {
        if (_random.Next(12) == 0)
            End(text);
        text.Append(Usually(Methods, 4)).Append(Rarely() ? "  " : " ").Append(Usually(Targets, 2)).Append(Rarely() ? '\t' : ' ').Append(Usually(Versions, 4));
        End(text);
        var at = _random.Next(4);
        var count = _random.Next(5);
        for (var i = 0; i <= count; i++)
        {
            if (i == Math.Min(at, count) && !Rarely())
            {
                text.Append(_random.Next(5) == 0 ? "host:" : "Host: ").Append(Usually(Hosts, 4));
                End(text);
            }

            if (_random.Next(3) != 0)
                continue;
            text.Append(Usually(Fields, 14));
            End(text);
        }

        switch (_random.Next(4))
        {
            case 0:
                text.Append("Content-Length: ").Append(_random.Next(12));
                End(text);
                End(text);
                text.Append("0123456789abcdef"[.._random.Next(16)]);
                break;
            case 1 or 2:
                text.Append("Transfer-Encoding: chunked");
                End(text);
                End(text);
                AddChunks(text);
                break;
            default:
                End(text);
                break;
        }
    }

    private void AddChunks(StringBuilder text)
    {
        for (var i = _random.Next(4); i > 0; i--)
        {
            var line = Usually(ChunkLines, 9);
            text.Append(line);
            End(text);
            text.Append(line.StartsWith('3') ? "abc" : line.StartsWith('1') ? "d" : line is "A" or "a;b" ? "0123456789" : "");
            End(text);
        }

        text.Append('0');
        End(text);
        for (var i = _random.Next(3); i > 1; i--)
        {
            text.Append(Usually(Trailers, 2));
            End(text);
        }

        End(text);
    }

    private void End(StringBuilder text) => text.Append(_random.Next(400) switch { 0 => "\n", 1 => "\r", 2 => "\r\r\n", 3 => "\n\r", 4 => " \r\n", 5 => "", _ => "\r\n" });

    private void Mutate(StringBuilder text)
    {
        if (text.Length == 0)
            return;
        var at = _random.Next(text.Length);
        var length = Math.Min(_random.Next(1, 9), text.Length - at);
        switch (_random.Next(6))
        {
            case 0:
                text.Remove(at, length);
                break;
            case 1:
                text.Insert(at, text.ToString(at, length));
                break;
            case 2:
                text[at] = (char)_random.Next(256);
                break;
            case 3:
                text.Insert(at, "\r\n\t :;,\0=\"\\0"[_random.Next(12)]);
                break;
            case 4:
                text[at] = (char)(text[at] ^ (1 << _random.Next(8)));
                break;
            default:
                text.Length = at;
                break;
        }
    }

    private bool Rarely() => _random.Next(100) == 0;

    /// <summary>One of the first few, which are fine; now and then any.</summary>
    private string Usually(string[] from, int fine) => from[_random.Next(24) == 0 ? _random.Next(from.Length) : _random.Next(fine)];
}
