using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;
using Alicia.Proxy.Http1;

namespace Alicia.Proxy.Corpus.Parsers;

/// <summary>Lengths.</summary>
internal sealed class DigitsProperty() : ParserProperty("Syntax.TryDigits", "reads digits and nothing else, and their value is right")
{
    private static readonly string[] Parts = ["0", "1", "9", "12345678", "000000000", "+", "-", " ", ",", ".", "x", "e", "\u0660", "999999999999999999", "a"];

    public override void Check(Random random)
    {
        var text = random.Mutated(random.Text(Parts, 4));
        var isNumber = text.Length > 0 && text.All(c => c is >= '0' and <= '9');
        var expected = isNumber && BigInteger.Parse(text, CultureInfo.InvariantCulture) < BigInteger.Pow(10, 18);
        var read = Syntax.TryDigits(Encoding.Latin1.GetBytes(text), out var value);
        Require(read == expected && (!read || value == BigInteger.Parse(text, CultureInfo.InvariantCulture)), $"read: {read}, {value}", text);
    }
}

/// <summary>Sizes of chunks and their extensions.</summary>
internal sealed partial class ChunkLineProperty() : ParserProperty("Syntax.ReadChunkLine", "takes what the grammar of RFC 9112, section 7.1.1, has, and its size is right")
{
    private static readonly string[] Parts = ["0", "a", "F", "10", "7fffffff", "80000000", ";", ";", "=", "=", "\"", "\"", "\\", " ", "\t", "x", "name", "é", ",", "0x"];

    public override void Check(Random random)
    {
        // Whoever cuts the line has refused control characters.
        var text = random.Of("", "1", "a0") + random.Text(Parts, 8);
        var match = Line().Match(text);
        var expected = match.Success && ulong.Parse(match.Groups[1].Value, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) <= int.MaxValue;
        var fault = Syntax.ReadChunkLine(Encoding.Latin1.GetBytes(text), out var size);
        Require((fault is null) == expected, fault?.Detail ?? "is taken", text);
        Require(!expected || size == int.Parse(match.Groups[1].Value, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture), $"size {size}", text);
    }

    [GeneratedRegex("""\A([0-9A-Fa-f]{1,8})(;[ \t]*[!#-'*+.^_`|~0-9A-Za-z-]+([ \t]*=[ \t]*([!#-'*+.^_`|~0-9A-Za-z-]+|"([^"\\]|\\.)*"))?([ \t]*(?=;)|\z))*\z""", RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex Line();
}

/// <summary>Hosts.</summary>
internal sealed partial class HostProperty() : ParserProperty("Syntax.IsHost", "takes a name, an address or one in brackets, with a port up to 65535 or none")
{
    private static readonly string[] Parts = ["a", "b.example", "127.0.0.1", "[", "]", "::1", ":", "80", "65535", "65536", "0", "@", "/", ",", "%", "-", "_", " ", "é", "[fe80::1]", "#", "?"];

    public override void Check(Random random)
    {
        var text = random.Mutated(random.Text(Parts, 4));
        var match = Host().Match(text);
        var expected = match.Success && (!match.Groups[1].Success || int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) <= 65535);
        Require(Syntax.IsHost(Encoding.Latin1.GetBytes(text)) == expected, expected ? "is refused" : "is taken", text);
        Require(!expected || Syntax.IsSameAuthority(Encoding.Latin1.GetBytes(text), Encoding.Latin1.GetBytes(text.ToUpperInvariant()), random.Next(2) == 0), "differs from itself", text);
    }

    [GeneratedRegex(@"\A(?:\[(?=[^\]]*:)[0-9A-Fa-f:.]{2,}\]|[-._~%!$&'()*+;=0-9A-Za-z]+)(?::([0-9]{1,5}))?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Host();
}

/// <summary>Which fields may be trailers.</summary>
internal sealed class TrailerNamesProperty() : ParserProperty("TrailerNames", "refuses a list in which one name frames, routes or authorizes, in any case and with any blanks, and no other")
{
    private static readonly HashSet<string> Refused = new(ReferenceRequests.NotInTrailers, StringComparer.OrdinalIgnoreCase);

    public override void Check(Random random)
    {
        var names = new List<string>();
        for (var i = random.Next(1, 4); i > 0; i--)
        {
            var name = random.Next(3) == 0 ? random.Of("X-Forwarded-For", "x-forwarded-", "X-Forwarded", "X-Checksum", "grpc-status", "Hos", "Hostt") : random.Next(3) == 0 ? "X-" + random.Next(100) : random.Of<string>(ReferenceRequests.NotInTrailers);
            names.Add(string.Concat(name.Select(c => random.Next(4) == 0 ? char.ToUpperInvariant(c) : c)));
        }

        var expected = !names.Exists(n => Refused.Contains(n) || n.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase));
        var list = string.Join(random.Of(",", ", ", " \t,"), names);
        Require(TrailerNames.AreAllowed(Encoding.Latin1.GetBytes(list)) == expected, expected ? "is refused" : "is taken", list);
        Require(names.TrueForAll(n => TrailerNames.IsAllowed(Encoding.Latin1.GetBytes(n))) == expected, "one by one they are judged otherwise", list);
    }
}
