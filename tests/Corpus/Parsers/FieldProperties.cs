using System.Net;
using System.Text;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Corpus.Parsers;

/// <summary>Cookies.</summary>
internal sealed class CookieProperty() : ParserProperty("CookieFields", "finds the cookies of a name that are there, one after the other, and none that is not")
{
    private static readonly string[] Parts = ["a", "b", "ab", "=", "=", ";", "; ", "\"", " ", "x", ",", "=1", "\t", "é"];

    public override void Check(Random random)
    {
        var context = new DefaultHttpContext();
        var fields = Enumerable.Range(0, random.Next(1, 3)).Select(_ => random.Text(Parts, 12)).ToArray();
        context.Request.Headers.Cookie = new StringValues(fields);
        var name = random.Of("a", "b", "ab");
        var expected = fields.SelectMany(f => f.Split(';')).Select(p => p.Trim()).Where(p => p.StartsWith(name + "=", StringComparison.Ordinal)).Select(p => p[(name.Length + 1)..].Trim('"')).ToArray();
        for (var skip = 0; skip <= expected.Length; skip++)
        {
            var found = CookieFields.TryFind(context.Request, name, skip, out var value, out var count);
            Require(found == skip < expected.Length && count == Math.Min(skip + 1, expected.Length) && (!found || value.SequenceEqual(expected[skip])),
                $"cookie {skip} of '{name}' is '{value}', {count} in all, and not of '{string.Join("', '", expected)}'", string.Join(" | ", fields));
        }
    }
}

/// <summary>Who asks, by <c>X-Forwarded-For</c>.</summary>
internal sealed class ForwardedForProperty() : ParserProperty("ForwardedFields.CallerOf", "is the last hop that is not a trusted proxy, and never one in front of it, whatever callers claim")
{
    public override int Inputs => 60_000;

    private static readonly string[] Hops = ["10.0.0.1", "10.9.9.9", "192.0.2.1", "198.51.100.7", "2001:db8::1", "fd00::1", "::ffff:10.0.0.2", "::ffff:192.0.2.9", "unknown", "", "10.0.0.1:80", "_hidden", "é", "127.1"];
    private static readonly IPNetwork[] Trusted = [IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("fd00::/8")];

    public override void Check(Random random)
    {
        var context = new DefaultHttpContext();
        var lines = Enumerable.Range(0, random.Next(3)).Select(_ => string.Join(random.Of(",", ", ", " ,"), Enumerable.Range(0, random.Next(1, 4)).Select(_ => random.Of<string>(Hops)))).ToArray();
        if (lines.Length > 0)
            context.Request.Headers["X-Forwarded-For"] = new StringValues(lines);
        var peer = IPAddress.Parse(random.Of("10.0.0.250", "192.0.2.200", "::ffff:10.1.1.1", "2001:db8::200"));
        context.Connection.RemoteIpAddress = peer;
        IPNetwork[] trusted = random.Next(5) == 0 ? [] : Trusted;

        var way = lines.SelectMany(l => l.Split(',')).Select(h => h.Trim()).ToList();
        var expected = Plain(peer);
        while (trusted.Any(t => t.Contains(expected)) && way.Count > 0 && IPAddress.TryParse(way[^1], out var hop))
        {
            expected = Plain(hop);
            way.RemoveAt(way.Count - 1);
        }

        var caller = ForwardedFields.CallerOf(context, trusted);
        Require(expected.Equals(caller), $"{caller} and not {expected}, from {peer}", string.Join(" | ", lines));
    }

    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}

/// <summary>The <c>Connection</c> field.</summary>
internal sealed class ConnectionFieldProperty() : ParserProperty("ConnectionFieldEncoding and HopByHop", "whatever Connection nominates is still nominated when the server has read the field, close is still close, and nothing else is nominated")
{
    private static readonly string[] Parts = ["close", "keep-alive", "Keep-Alive", "X-Secret", "x-own", ",", ", ", " ", "\t", "upgrade", "Content-Length", "cl", "é", ";"];

    public override void Check(Random random)
    {
        var line = random.Mutated(random.Text(Parts, 7)).Replace('\0', '0');
        var bytes = Encoding.Latin1.GetBytes(line);
        var read = ConnectionFieldEncoding.Instance.GetString(bytes);
        Require(read == ConnectionFieldEncoding.Rewrite(bytes), $"decodes to '{read}'", line);
        var before = Options(line);
        foreach (var name in new[] { "X-Secret", "x-own", "upgrade", "cl", "close" })
            Require(HopByHop.IsNominated(read, name) == before.Contains(name), $"{name} is {(before.Contains(name) ? "lost" : "made up")} in '{read}'", line);
        Require(!HopByHop.IsNominated(read, "Content-Length"), "the length can be nominated away", line);
        Require(!HopByHop.IsNominated(line, "X-Secret") || HopByHop.MayNominate(line), "nominates, though it may not", line);
    }

    private static HashSet<string> Options(string line) => new(line.Split(',').Select(o => o.Trim()), StringComparer.OrdinalIgnoreCase);
}

/// <summary>Field rules, and request ids, which become fields.</summary>
internal sealed class FieldRuleProperty() : ParserProperty("FieldNames and RequestIds", "a rule's field is exactly one field of a message, and frames nothing")
{
    private static readonly string[] Names = ["X-Own", "Host", "Content-Length", "Transfer-Encoding", "a", "-", " ", ":", "\r\n", "é", "(", "Connection", "X-Forwarded-For", "Upgrade", "te", "Via", "\0"];
    private static readonly string[] Values = ["a", "*", " ", "\t", "\r\n", "\n", "\r", "\0", "é", "X: 1", "\u007f", "\"", "***"];

    public override void Check(Random random)
    {
        var (name, value) = (random.Mutated(random.Text(Names, 2)), random.Mutated(random.Text(Values, 5)));
        if (FieldNames.IsFree(name) && FieldNames.IsValue(value))
        {
            var written = $"POST / HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\nContent-Length: 2\r\n\r\nok";
            var reading = StrictReading.Read(written, []);
            Require(reading.Fault is null && reading.Ends is [var end] && end == written.Length && reading.EndsBetweenRequests, reading.Fault?.Detail ?? "more than one request", written);
            Require(!HopByHop.IsFixed(name) && !ForwardedFields.IsInFamily(name), "a field that is not the service's", name);
        }

        if (RequestIds.IsWellFormed(value))
            Require(value.Length is > 0 and <= 128 && value.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-'), "is an id", value);
    }
}
