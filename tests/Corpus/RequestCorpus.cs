namespace Alicia.Proxy.Corpus;

/// <summary>
/// Requests that some server on some path has read in a way of its own, and their well-formed neighbours. Each ill-formed one must be refused before an instance has seen any of it, each
/// well-formed one must arrive, once.
/// </summary>
internal static class RequestCorpus
{
    private const string Host = "Host: {host}\r\n";
    private const string Chunked = "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n";
    /// <summary>A body that is a request to whoever loses count.</summary>
    public const string RequestAsBody = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

    private const string Smuggled = "GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n";

    public static IReadOnlyList<RequestCase> All { get; } = [.. Lines(), .. Targets(), .. Fields(), .. Hosts(), .. Lengths(), .. Codings(), .. Chunks(), .. Trailers(), .. Pipelines(), .. Wellformed()];

    private static IEnumerable<RequestCase> Lines()
    {
        yield return Bad("bare LF after the request line", "GET / HTTP/1.1\n" + Host + "\r\n");
        yield return Bad("bare LF everywhere", "GET / HTTP/1.1\nHost: {host}\n\n");
        yield return Bad("bare LF after a field", "GET / HTTP/1.1\r\n" + Host + "X: 1\nY: 2\r\n\r\n");
        yield return Bad("bare LF in place of the empty line", "GET / HTTP/1.1\r\n" + Host + "\n");
        yield return Bad("bare LF, then CRLF", "GET / HTTP/1.1\r\n" + Host + "X: 1\n\r\n");
        yield return Bad("bare LF before the request", "\nGET / HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("bare CR after the request line", "GET / HTTP/1.1\r" + Host + "\r\n");
        yield return Bad("bare CR everywhere", "GET / HTTP/1.1\rHost: {host}\r\r");
        yield return Bad("bare CR in a value", "GET / HTTP/1.1\r\n" + Host + "X: a\rb\r\n\r\n");
        yield return Bad("bare CR in a name", "GET / HTTP/1.1\r\n" + Host + "X\rY: a\r\n\r\n");
        yield return Bad("bare CR at a value's end", "GET / HTTP/1.1\r\n" + Host + "X: a\r\r\n\r\n");
        yield return Bad("bare CR before a hidden field", "GET / HTTP/1.1\r\n" + Host + "X: a\rTransfer-Encoding: chunked\r\n\r\n");
        yield return Bad("bare CR in place of the empty line", "GET / HTTP/1.1\r\n" + Host + "\rX");
        yield return Bad("bare CR before the request", "\rGET / HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("bare CR in the target", "GET /a\rb HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("bare LF in the target", "GET /a\nb HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("two empty lines before the request", "\r\n\r\nGET / HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("no request line", "nonsense\r\n\r\n");
        yield return Bad("no version", "GET /\r\n" + Host + "\r\n");
        yield return Bad("nothing but a version", "HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("no target", "GET HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("an empty target", "GET  HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("two blanks after the method", "GET  / HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("two blanks before the version", "GET /  HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("a blank before the method", " GET / HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("a blank after the version", "GET / HTTP/1.1 \r\n" + Host + "\r\n");
        yield return Bad("a tab after the method", "GET\t/ HTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("a tab before the version", "GET /\tHTTP/1.1\r\n" + Host + "\r\n");
        yield return Bad("two targets", "GET / /x HTTP/1.1\r\n" + Host + "\r\n");
        foreach (var method in new[] { "G(T", "G,T", "GET/", "G\"T", "{GET}", "GÉT", "GET:", "[GET]", "G@T" })
            yield return Bad($"method {method}", $"{method} / HTTP/1.1\r\n{Host}\r\n");
        foreach (var version in new[] { "http/1.1", "Http/1.1", "HTTP/1.10", "HTTP/01.1", "HTTP/1.", "HTTP/1", "HTTP/", "HTTP", "HTTP/1,1", "HTTP/+1.1", "HTTP/1.1x", "HTTP /1.1", "HTTP/ 1.1", "HTTP/a.b", "HTTPS/1.1", "ICY/1.1", "HTTP/1.1.1", "HTTP/-1.1", "HTTP\\1.1" })
            yield return Bad($"version {version}", $"GET / {version}\r\n{Host}\r\n");
        foreach (var version in new[] { "HTTP/0.9", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9", "HTTP/0.0" })
            yield return new($"version {version}", $"GET / {version}\r\n{Host}\r\n", 505);
        yield return new("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    }

    private static IEnumerable<RequestCase> Targets()
    {
        foreach (var target in new[] { "/a#b", "/#", "/a?b#c", "#", "http://{host}/#x", "http://{host}#x" })
            yield return Bad($"fragment in {target}", Get(target));
        foreach (var target in new[] { "x", "example.org:443", "x/y", "?q", "../x", "ftp://{host}/", "file:///etc/passwd", "//", "http:/x", "http:", "http://", "http:///x", "http://?x", "://{host}/", "javascript:x", "HTTP://{host}/", "Https://{host}/", "HTTP//{host}/" }.Where(t => t != "//"))
            yield return Bad($"target {target}", Get(target));
        foreach (var target in new[] { "http://user@{host}/", "http://user:pass@{host}/", "http://{host}:x/", "http://{host}:/", "http://{host}:99999/", "http://[::1/", "http://a,b/" })
            yield return Bad($"authority of {target}", Get(target));
        foreach (var target in new[] { "http://elsewhere/", "https://elsewhere/", "http://{host}:81/", "http://{host}.:80/", "http://x{host}/", "https://{host}:80/" })
            yield return Bad($"another host in the target {target}", Get(target));
        foreach (var method in new[] { "GET", "POST", "HEAD", "DELETE", "options", "FOO" })
            yield return Bad($"{method} *", $"{method} * HTTP/1.1\r\n{Host}\r\n");
        yield return Bad("OPTIONS **", "OPTIONS ** HTTP/1.1\r\n" + Host + "\r\n");
        foreach (var target in new[] { "{host}:443", "/", "http://{host}/", "*" })
            yield return new($"CONNECT {target}", $"CONNECT {target} HTTP/1.1\r\n{Host}\r\n", 405);
        yield return new("connect in lower case", "connect {host}:443 HTTP/1.1\r\n" + Host + "\r\n", 405);
        foreach (var c in Controls.Append('\u0080').Append('\u00e9').Append('\u00ff').Append('\t'))
            yield return Bad($"{Show(c)} in the target", Get($"/a{c}b"));
        yield return new("a target beyond the limit", Get("/" + new string('x', 33_000)), 414);
        yield return new("a target beyond all limits, without an end", "GET /" + new string('x', 40_000), 414);
    }

    private static IEnumerable<RequestCase> Fields()
    {
        foreach (var line in new[] { "X : 1", "X\t: 1", " X: 1", "\tX: 1", "X Y: 1", ": 1", " : 1", "X", "no colon", ":", "X\u00e9: 1", "(X): 1", "X@Y: 1", "X,Y: 1", "X;Y: 1", "X/Y: 1", "X[0]: 1", "X=Y: 1", "X?: 1", "{X}: 1", "\"X\": 1", "X\\Y: 1", "Transfer-Encoding : chunked", "Content-Length : 5", "Host : x", "<X>: 1" })
            yield return Bad($"field line '{line.Replace("\t", "\\t", StringComparison.Ordinal)}'", Get("/", line + "\r\n"));
        yield return Bad("a blank before the first field", "GET / HTTP/1.1\r\n " + Host + "\r\n");
        yield return Bad("a folded line", Get("/", "X: 1\r\n folded\r\n"));
        yield return Bad("a line folded by a tab", Get("/", "X: 1\r\n\tfolded\r\n"));
        yield return Bad("a folded empty line", Get("/", "X: 1\r\n \r\n"));
        yield return Bad("a folded coding", Get("/", "Transfer-Encoding:\r\n chunked\r\n"));
        yield return Bad("a folded host", "GET / HTTP/1.1\r\nHost:\r\n {host}\r\n\r\n");
        foreach (var c in Controls)
        {
            yield return Bad($"{Show(c)} in a value", Get("/", $"X: a{c}b\r\n"));
            yield return Bad($"{Show(c)} in a name", Get("/", $"X{c}Y: a\r\n"));
            yield return Bad($"{Show(c)} at a value's beginning", Get("/", $"X:{c}a\r\n"));
        }

        yield return new("one field too many", Get("/", string.Concat(Enumerable.Range(0, 500).Select(i => $"X-{i}: 1\r\n"))), 431);
        yield return new("fields beyond the limit", Get("/", $"X: {new string('x', 66_000)}\r\n"), 431);
        yield return new("fields beyond the limit, line by line", Get("/", string.Concat(Enumerable.Range(0, 70).Select(i => $"X-{i}: {new string('x', 1000)}\r\n"))), 431);
        yield return new("a field without an end", $"GET / HTTP/1.1\r\n{Host}X: {new string('x', 70_000)}", 431);
    }

    private static IEnumerable<RequestCase> Hosts()
    {
        yield return Bad("no host", "GET / HTTP/1.1\r\n\r\n");
        yield return Bad("no host among fields", "GET / HTTP/1.1\r\nX: 1\r\nHos: {host}\r\n\r\n");
        yield return Bad("no host beside an absolute target", "GET http://{host}/ HTTP/1.1\r\n\r\n");
        yield return Bad("two hosts", Get("/", "Host: other\r\n"));
        yield return Bad("the same host twice", Get("/", Host));
        yield return Bad("two hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" + Host + "Host: other\r\n\r\n");
        foreach (var host in new[] { "", " ", "a b", "a,b", "a, b", "a/b", "a\\b", "http://a", "a:b", "a:", ":80", "a:80:80", "a:99999", "a:-1", "a:+80", "a: 80", "user@a", "[::1", "::1]", "[]", "[x]", "[1]", "[::1]x", "[::1]:x", "a?b", "a#b", "<a>", "\"a\"", "a\u00e9", "a|b", "a^b", "{a}", "a`b" })
            yield return Bad($"host '{host}'", $"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    }

    private static IEnumerable<RequestCase> Lengths()
    {
        foreach (var length in new[] { "+5", "-5", "-0", "", " ", "5,5", "5, 5", "5 5", "5,", ",5", "0x5", "5x", "x5", "5.0", "5e0", "١", "\"5\"", "5;", "five", "٥", "5\t5", "99999999999999999999", "9223372036854775808", "18446744073709551617", "+0", "0,0", "1_0" })
            yield return Bad($"length '{length.Replace("\t", "\\t", StringComparison.Ordinal)}'", $"POST / HTTP/1.1\r\n{Host}Content-Length: {length}\r\n\r\nhello");
        yield return Bad("two lengths", "POST / HTTP/1.1\r\n" + Host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!");
        yield return Bad("the same length twice", "POST / HTTP/1.1\r\n" + Host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello");
        yield return Bad("the same length twice, in other spellings", "POST / HTTP/1.1\r\n" + Host + "Content-Length: 5\r\ncontent-length: 05\r\n\r\nhello");
        yield return Bad("a length and chunks", "POST / HTTP/1.1\r\n" + Host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + Smuggled);
        yield return Bad("chunks and a length", "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + Smuggled);
        yield return Bad("a length of nothing and chunks", "POST / HTTP/1.1\r\n" + Host + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        yield return Bad("a length with chunks in a GET", Get("/", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n");
    }

    private static IEnumerable<RequestCase> Codings()
    {
        foreach (var coding in new[] { "gzip", "identity", "gzip, chunked", "chunked, gzip", "chunked, identity", "identity, chunked", "chunked, chunked", "chunked,", ",chunked", "xchunked", "chunkedx", "chunked;q=1", "\"chunked\"", "'chunked'", "chunk ed", "", " ", "x", "chunked x", "deflate", "compress, chunked", "trailers", "chunked\u00a0", "\u000bchunked", "cow", "Chunked, Chunked", "chunk" })
            yield return Bad($"coding '{coding.Replace("\u000b", "\\v", StringComparison.Ordinal)}'", $"POST / HTTP/1.1\r\n{Host}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n{Smuggled}");
        yield return Bad("two codings on two lines", "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n");
        yield return Bad("the coding twice", "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        yield return Bad("another coding on an earlier line", "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        yield return Bad("a coding in HTTP/1.0", "POST / HTTP/1.0\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        yield return Bad("a coding in a GET of HTTP/1.0", "GET / HTTP/1.0\r\n" + Host + "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n" + Smuggled);
    }

    private static IEnumerable<RequestCase> Chunks()
    {
        foreach (var size in new[] { "", " ", "x", "-1", "+5", "0x5", "5 ", "5\t", " 5", "5 5", "5,5", "g", "5h", "5.", "\"5\"", "123456789", "80000000", "FFFFFFFF", "000000005", "FFFFFFFFFFFFFFFF", "10000000000000005", "5\u00e9", "5 x", "\u0660" })
            yield return Bad($"chunk size '{size.Replace("\t", "\\t", StringComparison.Ordinal)}'", $"{Chunked}{size}\r\nhello\r\n0\r\n\r\n{Smuggled}");
        foreach (var extension in new[] { " ;a", "\t;a=b", ";", ";;", "; ", ";;a", ";a;", ";a; ", ";=", ";=x", ";a=", ";a= ", ";a=b;", ";a=b c", ";a b", ";(a)", ";a=(b)", ";a=\"b", ";a=\"b\"c", ";a=\"b\\\"", ";a==b", ";a=b=c", ";\"a\"", ";a=b,c", ";a@b", ";\u00e9", ";a=\u00e9", ";a={b}", ";[a]", "; ;", " ;", ";a=\"b\" c" })
            yield return Bad($"chunk extension '{extension.Replace("\t", "\\t", StringComparison.Ordinal)}'", $"{Chunked}5{extension}\r\nhello\r\n0\r\n\r\n{Smuggled}");
        yield return Bad("a chunk extension beyond the limit", $"{Chunked}5;a={new string('x', 600)}\r\nhello\r\n0\r\n\r\n");
        yield return Bad("a chunk extension without an end", $"{Chunked}5;a={new string('x', 600)}");
        foreach (var c in Controls)
        {
            yield return Bad($"{Show(c)} in a chunk extension", $"{Chunked}5;a{c}b\r\nhello\r\n0\r\n\r\n{Smuggled}");
            yield return Bad($"{Show(c)} behind a chunk's size", $"{Chunked}5{c}\r\nhello\r\n0\r\n\r\n");
        }

        yield return Bad("bare LF after a chunk's size", Chunked + "5\nhello\r\n0\r\n\r\n");
        yield return Bad("bare CR after a chunk's size", Chunked + "5\rhello\r\n0\r\n\r\n");
        yield return Bad("bare LF after an extension", Chunked + "5;a\nhello\r\n0\r\n\r\n");
        yield return Bad("bare LF within a quoted extension", Chunked + "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n");
        yield return Bad("bare LF after a chunk", Chunked + "5\r\nhello\n0\r\n\r\n");
        yield return Bad("bare CR after a chunk", Chunked + "5\r\nhello\r0\r\n\r\n");
        yield return Bad("nothing after a chunk", Chunked + "5\r\nhello0\r\n\r\n");
        yield return Bad("a chunk that is longer than its size", Chunked + "5\r\nhello!\r\n0\r\n\r\n");
        yield return Bad("a chunk that is shorter than its size", Chunked + "5\r\nhell\r\n0\r\n\r\n" + Smuggled);
        yield return Bad("a blank after a chunk", Chunked + "5\r\nhello \r\n0\r\n\r\n");
        yield return Bad("a bad chunk after good ones", Chunked + "5\r\nhello\r\n6;a=b\r\n world\r\n;\r\n\r\n");
        yield return Bad("bare LF after the last chunk", Chunked + "0\n\r\n" + Smuggled);
        yield return Bad("bare LF in place of the last line", Chunked + "0\r\n\n" + Smuggled);
        yield return Bad("an extension of the last chunk", Chunked + "0;\r\n\r\n");
    }

    private static IEnumerable<RequestCase> Trailers()
    {
        foreach (var name in new[] { "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "TE", "Upgrade", "Expect", "Authorization", "Cookie", "Content-Type", "Content-Encoding", "Content-Range", "Range", "Cache-Control", "Max-Forwards", "X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Anything", "Forwarded", "Via", "Proxy-Authorization", "Proxy-Connection", "Keep-Alive", "If-Match", "transfer-encoding", "HOST" })
            yield return Bad($"trailer {name}", $"{Chunked}5\r\nhello\r\n0\r\n{name}: 5\r\n\r\n");
        foreach (var line in new[] { "X : 1", " X: 1", "X", ": 1", "X\u0000: 1", "X: \u0000", "X: a\rb", "X(: 1", "X: \u007f" })
            yield return Bad($"trailer line '{line.Replace("\r", "\\r", StringComparison.Ordinal).Replace("\u0000", "\\0", StringComparison.Ordinal)}'", $"{Chunked}0\r\n{line}\r\n\r\n");
        yield return Bad("a folded trailer", Chunked + "0\r\nX: 1\r\n 2\r\n\r\n");
        yield return Bad("bare LF after a trailer", Chunked + "0\r\nX: 1\n\r\n");
        yield return Bad("a Trailer field that names the length", "POST / HTTP/1.1\r\n" + Host + "Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        yield return Bad("a Trailer field that names the host among others", "POST / HTTP/1.1\r\n" + Host + "Trailer: X-A, Host, X-B\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    }

    private static IEnumerable<RequestCase> Pipelines()
    {
        var good = Get("/");
        yield return new("a bad request behind a good one", good + Get("/", "X : 1\r\n"), 400, "");
        yield return new("a bad request behind two good ones", good + Post("abc") + "GET / HTTP/1.1\n\n", 400, "", "abc");
        yield return new("a bad request behind chunks", Chunked + "3\r\nabc\r\n0\r\n\r\nGET / HTTP/9.9\r\n\r\n", 505, "abc");
        yield return new("an empty line too many between requests", good + "\r\n\r\n" + good, 400, "");
        yield return new("bytes behind a body", Post("abc") + "def", 0, "abc");
        yield return new("a body that is longer than its length", Post("abc") + "def\r\n\r\n", 400, "abc");
        yield return new("bad chunks behind a good request", good + Chunked + "5;\r\nhello\r\n0\r\n\r\n", 400, "");
    }

    private static IEnumerable<RequestCase> Wellformed()
    {
        yield return Good("a GET", Get("/"), "");
        yield return Good("two", Get("/") + Get("/x"), "", "");
        yield return Good("an empty line before it", "\r\n" + Get("/"), "");
        yield return Good("an empty line between two", Post("abc") + "\r\n" + Get("/"), "abc", "");
        yield return Good("no blanks around values", "GET / HTTP/1.1\r\nHost:{host}\r\nX:1\r\nY:\r\n\r\n", "");
        yield return Good("blanks and tabs around values", "GET / HTTP/1.1\r\nHost: \t {host}\t \r\nX: \t a\tb \r\n\r\n", "");
        yield return Good("every character of a name", Get("/", "!#$%&'*+-.^_`|~09azAZ: 1\r\n"), "");
        yield return Good("bytes beyond ASCII in a value", Get("/", "X: \u0080\u00e9\u00ff\r\n"), "");
        yield return Good("every character of a target", Get("/!\"$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~"), "");
        yield return Good("an absolute target", Get("http://{host}/x"), "");
        yield return Good("an absolute target with the port of its scheme", Get("http://{host}:80/x"), "");
        yield return Good("an absolute target without a path", Get("http://{host}"), "");
        yield return Good("HTTP/1.0", "GET / HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n", "");
        yield return Good("a length", Post("hello"), "hello");
        yield return Good("a length of nothing", Post(""), "");
        yield return Good("a length in a GET", Get("/", "Content-Length: 3\r\n") + "abc", "abc");
        yield return Good("a length with blanks around it and zeros before it", "POST / HTTP/1.1\r\n" + Host + "Content-Length: \t 0003 \r\n\r\nabc", "abc");
        yield return Good("chunks", Chunked + "5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", "hello world");
        yield return Good("no chunk but the last", Chunked + "0\r\n\r\n", "");
        yield return Good("zeros before sizes", Chunked + "0005\r\nhello\r\n000\r\n\r\n", "hello");
        yield return Good("sizes in both cases", Chunked + "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789");
        yield return Good("chunks that hold line ends and what looks like requests", Chunked + "9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n\r\n");
        yield return Good("the coding in capitals", "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: CHUNKED\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi");
        yield return Good("chunk extensions", Chunked + "2;a;b=c;d=\"e; \\\"f\\\\ \u00e9\"\r\nhi\r\n2; a = b ; c\r\nho\r\n0;z\r\n\r\n", "hiho");
        yield return Good("the signature of an upload", Chunked + $"2;chunk-signature={new string('a', 64)}\r\nhi\r\n0;chunk-signature={new string('b', 64)}\r\n\r\n", "hi");
        yield return Good("trailers", "POST / HTTP/1.1\r\n" + Host + "Trailer: X-A, X-B\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-A: 1\r\nX-B:\r\n\r\n", "hi");
        yield return Good("chunks, then a request", Chunked + "2\r\nhi\r\n0\r\n\r\n" + Get("/"), "hi", "");
        yield return Good("a body that looks like a request", Post(RequestAsBody), RequestAsBody);
        yield return Good("an unanswered wish for another protocol, then a request", Get("/", "Connection: Upgrade\r\nUpgrade: unheard-of/1\r\n") + Get("/x"), "", "");
        yield return Good("a host with a port", "GET / HTTP/1.1\r\nHost: {host}:8080\r\n\r\n", "");
        yield return Good("many fields", Get("/", string.Concat(Enumerable.Range(0, 400).Select(i => $"X-{i}: {i}\r\n"))), "");
        yield return Good("large fields", Get("/", $"Cookie: {new string('x', 60_000)}\r\n"), "");
        yield return Good("a long target", Get("/" + new string('x', 30_000)), "");
    }

    /// <summary>All that no line may hold, but for CR and LF, which have cases of their own, and the tab.</summary>
    private static IEnumerable<char> Controls => Enumerable.Range(0, 32).Append(127).Select(c => (char)c).Where(c => c is not ('\r' or '\n' or '\t'));

    private static string Show(char c) => $"0x{(int)c:x2}";

    private static string Get(string target, string fields = "") => $"GET {target} HTTP/1.1\r\n{Host}{fields}\r\n";

    private static string Post(string body) => $"POST / HTTP/1.1\r\n{Host}Content-Length: {body.Length}\r\n\r\n{body}";

    private static RequestCase Bad(string name, string bytes) => new(name, bytes, 400);

    private static RequestCase Good(string name, string bytes, params string[] bodies) => new(name, bytes, 0, bodies);
}
