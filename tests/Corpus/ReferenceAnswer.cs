using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Alicia.Proxy.Corpus;

/// <summary>What some bytes are, read as an answer.</summary>
public enum AnswerVerdict
{
    /// <summary>They are none, whatever comes behind them.</summary>
    Malformed,

    /// <summary>They may be the beginning of one.</summary>
    Incomplete,

    /// <summary>They are one.</summary>
    Complete,
}

/// <summary>
/// RFC 9112 for answers, written to be compared with: slow, on text, with regular expressions, and without a look at the proxy's own parser. What it calls malformed is what no careful recipient takes,
/// and that is more than the RFC forbids: a length beside a coding, two lengths, any coding but chunked, a body with a 205.
/// </summary>
/// <param name="Verdict">What the bytes are.</param>
/// <param name="Status">Of the final answer; 0 when there is none.</param>
/// <param name="Fields">Its fields, as <c>name: value</c>.</param>
/// <param name="Body">Its body without chunks, as far as it came.</param>
/// <param name="Used">Bytes up to its end, where it has one.</param>
public sealed partial record ReferenceAnswer(AnswerVerdict Verdict, int Status, IReadOnlyList<string> Fields, string Body, int Used)
{
    private const int MaxFields = 500;

    private static readonly ReferenceAnswer Bad = new(AnswerVerdict.Malformed, 0, [], "", 0);

    private static readonly ReferenceAnswer Waiting = new(AnswerVerdict.Incomplete, 0, [], "", 0);

    /// <param name="bytes">All that the instance sends before it closes.</param>
    /// <param name="isHead">Whether the request was HEAD.</param>
    public static ReferenceAnswer Read(ReadOnlySpan<byte> bytes, bool isHead)
    {
        var text = Encoding.Latin1.GetString(bytes);
        for (var start = 0; ;)
        {
            var answer = ReadOne(text[start..], isHead);
            if (answer.Verdict != AnswerVerdict.Complete || answer.Status is >= 200 or 101)
                return answer with { Used = answer.Used + start };
            start += answer.Used;
        }
    }

    private static ReferenceAnswer ReadOne(string text, bool isHead)
    {
        const string Beginning = "HTTP/1.";
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var head = end < 0 ? text : text[..(end + 4)];
        if (BareLineFeed().IsMatch(head))
            return Bad;
        var firstEnd = head.IndexOf("\r\n", StringComparison.Ordinal);
        if (firstEnd < 0)
            return head.Length >= Beginning.Length ? (head.StartsWith(Beginning, StringComparison.Ordinal) ? Waiting : Bad) : Beginning.StartsWith(head, StringComparison.Ordinal) ? Waiting : Bad;
        var statusLine = StatusLine().Match(head[..firstEnd]);
        if (!statusLine.Success)
            return Bad;
        if (end < 0)
            return Waiting;
        var status = int.Parse(statusLine.Groups[2].Value, CultureInfo.InvariantCulture);
        if (!TryFields(head[(firstEnd + 2)..^2], out var fields))
            return Bad;

        string[] Of(string name) => [.. fields.Where(f => f.StartsWith(name + ": ", StringComparison.OrdinalIgnoreCase)).Select(f => f[(name.Length + 2)..])];
        var (lengths, codings) = (Of("Content-Length"), Of("Transfer-Encoding"));
        if (lengths.Length > 1 || codings.Length > 1 || lengths.Length + codings.Length > 1)
            return Bad;
        if (lengths is [var said] && !Length().IsMatch(said))
            return Bad;
        if (codings is [var coding] && !coding.Equals("chunked", StringComparison.OrdinalIgnoreCase))
            return Bad;
        long? length = lengths is [var digits] ? long.Parse(digits, CultureInfo.InvariantCulture) : null;
        if ((status == 205 && length > 0) || (codings.Length > 0 && statusLine.Groups[1].Value == "0"))
            return Bad;

        var rest = text[head.Length..];
        var answer = new ReferenceAnswer(AnswerVerdict.Complete, status, fields, "", head.Length);
        if (isHead || status is < 200 or 204 or 304)
            return answer;
        if (codings.Length > 0)
            return ReadChunks(answer, rest, mayHaveBytes: status != 205);
        if (length is null)
            return answer with { Verdict = status == 205 && rest.Length > 0 ? AnswerVerdict.Malformed : AnswerVerdict.Complete, Body = rest, Used = text.Length };
        return rest.Length < length
            ? answer with { Verdict = AnswerVerdict.Incomplete, Body = rest, Used = text.Length }
            : answer with { Body = rest[..(int)length], Used = head.Length + (int)length };
    }

    private static bool TryFields(string section, out List<string> fields)
    {
        fields = [];
        foreach (var line in section.Length == 0 ? [] : section[..^2].Split("\r\n"))
        {
            var field = Field().Match(line);
            if (!field.Success || fields.Count == MaxFields)
                return false;
            fields.Add($"{field.Groups[1].Value}: {field.Groups[2].Value}");
        }

        return true;
    }

    private static ReferenceAnswer ReadChunks(ReferenceAnswer answer, string text, bool mayHaveBytes)
    {
        var body = new StringBuilder();
        var at = 0;
        ReferenceAnswer End(AnswerVerdict verdict) => answer with { Verdict = verdict, Body = body.ToString(), Used = answer.Used + at };
        while (true)
        {
            // A part of a line can be wrong already: what it must begin with is known.
            var size = ChunkSize().Match(text, at);
            if (!size.Success)
                return End(BeginningOfChunkSize().IsMatch(text, at) ? AnswerVerdict.Incomplete : AnswerVerdict.Malformed);
            at += size.Length;
            var left = Convert.ToInt64(size.Groups[1].Value, 16);
            if (left == 0)
                break;
            if (!mayHaveBytes && at < text.Length)
                return End(AnswerVerdict.Malformed);
            var here = (int)Math.Min(left, text.Length - at);
            body.Append(text, at, here);
            at += here;
            var behind = text[at..];
            if (here < left || behind is "" or "\r")
                return End(AnswerVerdict.Incomplete);
            if (!behind.StartsWith("\r\n", StringComparison.Ordinal))
                return End(AnswerVerdict.Malformed);
            at += 2;
        }

        var trailers = text[at..];
        var end = trailers.StartsWith("\r\n", StringComparison.Ordinal) ? 0 : trailers.IndexOf("\r\n\r\n", StringComparison.Ordinal) is >= 0 and var found ? found + 2 : -1;
        if (BareLineFeed().IsMatch(end < 0 ? trailers : trailers[..(end + 2)]))
            return End(AnswerVerdict.Malformed);
        if (end < 0)
            return End(AnswerVerdict.Incomplete);
        at += end + 2;
        return End(TryFields(trailers[..end], out _) ? AnswerVerdict.Complete : AnswerVerdict.Malformed);
    }

    [GeneratedRegex(@"(?<!\r)\n")]
    private static partial Regex BareLineFeed();

    [GeneratedRegex(@"\AHTTP/1\.([0-9]) ([1-9][0-9]{2})( [^\x00-\x08\x0a-\x1f\x7f]*)?\z")]
    private static partial Regex StatusLine();

    [GeneratedRegex(@"\A([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)[ \t]*\z")]
    private static partial Regex Field();

    [GeneratedRegex(@"\A[0-9]{1,18}\z")]
    private static partial Regex Length();

    private const string Name = @"[!#$%&'*+\-.^_`|~0-9A-Za-z]+";
    private const string Extension = @";[ \t]*" + Name + @"(?:[ \t]*=[ \t]*(?:" + Name + @"|""(?:[^""\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*""))?";
    private const string Size = "([0-9A-Fa-f]{1,15})(?:" + Extension + @"(?:[ \t]*" + Extension + ")*)?";

    [GeneratedRegex(@"\G" + Size + @"\r\n")]
    private static partial Regex ChunkSize();

    [GeneratedRegex(@"\G(?:" + Size + @"\r|[0-9A-Fa-f]{1,15}(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?)?\z")]
    private static partial Regex BeginningOfChunkSize();
}
