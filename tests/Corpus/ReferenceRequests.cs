using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Alicia.Proxy.Corpus;

/// <summary>
/// A second reading of the same rules, to hold the proxy's own against: slow, simple, the whole input at once, regular expressions in place of a state machine. It shares no code with it.
/// </summary>
internal static partial class ReferenceRequests
{
    private const RegexOptions Plain = RegexOptions.CultureInvariant | RegexOptions.Singleline;

    /// <summary>What no trailer may be named, beside <c>X-Forwarded-*</c>.</summary>
    public static readonly string[] NotInTrailers =
    [
        "age", "authorization", "cache-control", "connection", "content-encoding", "content-length", "content-range", "content-type", "cookie", "date", "expect", "expires", "forwarded", "host",
        "http2-settings", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive", "location", "max-forwards", "pragma", "proxy-authenticate",
        "proxy-authorization", "proxy-connection", "range", "retry-after", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "vary", "via", "warning", "www-authenticate", "x-request-id",
    ];

    private enum Until
    {
        OneLine,
        EndOfHead,
        EndOfTrailers,
    }

    /// <summary>How an input reads: how many whole requests, where the one after them begins, and whether that one is wrong rather than incomplete.</summary>
    internal sealed record Reading(IReadOnlyList<string> Bodies, int End, bool IsWrong);

    /// <param name="input">Latin-1. Shorter than every limit.</param>
    public static Reading Read(string input)
    {
        var bodies = new List<string>();
        var at = 0;
        while (true)
        {
            var (end, body, wrong) = ReadOne(input, at);
            if (wrong || end < 0)
                return new(bodies, at, wrong);
            bodies.Add(body);
            at = end;
        }
    }

    private static (int End, string Body, bool Wrong) ReadOne(string input, int at)
    {
        if (string.CompareOrdinal(input, at, "\r\n", 0, 2) == 0)
            at += 2;
        var lines = new List<string>();
        if (Lines(input, ref at, lines, Until.EndOfHead) is not { } whole)
            return (0, "", true);
        // A line that is there already may be wrong though the head is not whole.
        if (lines.Count > 0 && !IsRequestLine(lines[0]))
            return (0, "", true);
        var fields = lines.Skip(1).ToList();
        if (fields.Any(f => !FieldLine().IsMatch(f)) || (lines.Count > 0 && !FieldsAgree(lines[0], fields, whole)))
            return (0, "", true);
        if (!whole)
            return (-1, "", false);
        if (Values(fields, "transfer-encoding").Count > 0)
            return ReadChunks(input, at);
        var length = Values(fields, "content-length") is [var text] ? int.Parse(text.TrimStart('0') is { Length: > 0 } digits ? digits.Length > 9 ? "999999999" : digits : "0", CultureInfo.InvariantCulture) : 0;
        return at + length <= input.Length ? (at + length, input.Substring(at, length), false) : (-1, "", false);
    }

    private static (int End, string Body, bool Wrong) ReadChunks(string input, int at)
    {
        var body = new StringBuilder();
        while (true)
        {
            var line = new List<string>();
            if (Lines(input, ref at, line, Until.OneLine) is not { } whole)
                return (0, "", true);
            if (!whole)
                return (-1, "", false);
            var match = ChunkLine().Match(line[0]);
            if (!match.Success || long.Parse(match.Groups[1].Value, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) > int.MaxValue)
                return (0, "", true);
            var size = int.Parse(match.Groups[1].Value, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            if (size == 0)
                break;
            if (size > input.Length - at)
                return (-1, "", false);
            body.Append(input, at, size);
            at += size;
            var rest = input.Length - at;
            if ((rest > 0 && input[at] != '\r') || (rest > 1 && input[at + 1] != '\n'))
                return (0, "", true);
            if (rest < 2)
                return (-1, "", false);
            at += 2;
        }

        var trailers = new List<string>();
        if (Lines(input, ref at, trailers, Until.EndOfTrailers) is not { } ended)
            return (0, "", true);
        if (trailers.Any(t => !FieldLine().IsMatch(t) || !MayTrail(t[..t.IndexOf(':', StringComparison.Ordinal)])))
            return (0, "", true);
        return ended ? (at, body.ToString(), false) : (-1, "", false);
    }

    /// <summary>Takes one line, or lines up to an empty one, which is not kept.</summary>
    /// <returns>Null when a line is no line, false when the input ends before.</returns>
    private static bool? Lines(string input, ref int at, List<string> lines, Until until)
    {
        while (true)
        {
            var control = at;
            while (control < input.Length && (input[control] == '\t' || input[control] is >= ' ' and not '\u007f'))
                control++;
            if (control == input.Length || (input[control] == '\r' && control + 1 == input.Length))
                return false;
            if (input[control] != '\r' || input[control + 1] != '\n')
                return null;
            var line = input[at..control];
            at = control + 2;
            if (line.Length == 0 && until != Until.OneLine)
                return until == Until.EndOfTrailers || lines.Count > 0 ? true : null;
            lines.Add(line);
            if (until == Until.OneLine)
                return true;
        }
    }

    private static bool IsRequestLine(string line)
    {
        var match = RequestLine().Match(line);
        if (!match.Success)
            return false;
        var (method, target) = (match.Groups[1].Value, match.Groups[2].Value);
        if (method.Equals("CONNECT", StringComparison.OrdinalIgnoreCase))
            return false;
        return target == "*" ? method == "OPTIONS" : target[0] == '/' || (AbsoluteTarget().Match(target) is { Success: true } absolute && IsHost(absolute.Groups[2].Value));
    }

    private static bool FieldsAgree(string requestLine, List<string> fields, bool whole)
    {
        var old = requestLine.EndsWith("HTTP/1.0", StringComparison.Ordinal);
        var (hosts, lengths, codings) = (Values(fields, "host"), Values(fields, "content-length"), Values(fields, "transfer-encoding"));
        if (hosts.Count > 1 || lengths.Count > 1 || codings.Count > 1 || (lengths.Count > 0 && codings.Count > 0) || (whole && hosts.Count == 0 && !old))
            return false;
        if (hosts.Any(h => !IsHost(h)) || lengths.Any(l => !Digits().IsMatch(l) || l.TrimStart('0').Length > 18))
            return false;
        if (codings.Any(c => old || !c.Equals("chunked", StringComparison.OrdinalIgnoreCase)))
            return false;
        if (Values(fields, "trailer").SelectMany(t => t.Split(',')).Any(t => !MayTrail(t.Trim(' ', '\t'))))
            return false;
        var absolute = AbsoluteTarget().Match(requestLine.Split(' ')[1]);
        return !absolute.Success || hosts.Count == 0 || Same(hosts[0], absolute.Groups[2].Value, absolute.Groups[1].Value.Length == 5 ? ":443" : ":80");
    }

    private static bool Same(string one, string other, string port) => Without(one, port).Equals(Without(other, port), StringComparison.OrdinalIgnoreCase);

    private static string Without(string host, string port) => host.EndsWith(port, StringComparison.Ordinal) ? host[..^port.Length] : host;

    private static bool IsHost(string host) =>
        HostForm().Match(host) is { Success: true } match && (match.Groups[1].Value.Length == 0 || int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) <= 65535);

    private static bool MayTrail(string name) => !NotInTrailers.Contains(name, StringComparer.OrdinalIgnoreCase) && !name.StartsWith("x-forwarded-", StringComparison.OrdinalIgnoreCase);

    private static List<string> Values(List<string> fields, string name) =>
        [.. fields.Select(f => f.Split(':', 2)).Where(f => f[0].Equals(name, StringComparison.OrdinalIgnoreCase)).Select(f => f[1].Trim(' ', '\t'))];

    [GeneratedRegex(@"\A([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21\x22\x24-\x7e]+) HTTP/1\.[01]\z", Plain)]
    private static partial Regex RequestLine();

    [GeneratedRegex(@"\A(https?)://([^/?]*)(?:[/?].*)?\z", Plain)]
    private static partial Regex AbsoluteTarget();

    [GeneratedRegex(@"\A[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\z", Plain)]
    private static partial Regex FieldLine();

    [GeneratedRegex(@"\A(?:[-._~%!$&'()*+;=0-9A-Za-z]+|\[(?=[^\]]*:)[0-9A-Fa-f:.]{2,}\])(?::([0-9]{1,5}))?\z", Plain)]
    private static partial Regex HostForm();

    [GeneratedRegex(@"\A[0-9]+\z", Plain)]
    private static partial Regex Digits();

    [GeneratedRegex(@"\A([0-9A-Fa-f]{1,8})(?:;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|""(?:[^""\\]|\\.)*""))?(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|""(?:[^""\\]|\\.)*""))?)*)?\z", Plain)]
    private static partial Regex ChunkLine();
}
