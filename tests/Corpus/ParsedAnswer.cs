using System.Text;
using Alicia.Proxy.Direct;

namespace Alicia.Proxy.Corpus;

/// <summary>Reads an answer with the proxy's own parser as its forwarder does, in pieces of whatever size.</summary>
internal static class ParsedAnswer
{
    /// <param name="bytes">All that the instance sends before it closes.</param>
    /// <param name="isHead">Whether the request was HEAD.</param>
    /// <param name="piece">How many bytes come next.</param>
    public static ReferenceAnswer Read(byte[] bytes, bool isHead, Func<int> piece)
    {
        var buffer = new byte[bytes.Length];
        var (start, end) = (0, 0);
        var head = new ResponseHead();
        bool More()
        {
            var next = Math.Min(piece(), bytes.Length - end);
            bytes.AsSpan(end, next).CopyTo(buffer.AsSpan(end));
            end += next;
            return next > 0;
        }

        do
        {
            var scan = default(HeadScan);
            int length;
            do
            {
                if (!ResponseParser.TryFindEnd(buffer.AsSpan(start, end - start), ref scan, isTrailers: false, out length))
                    return new(AnswerVerdict.Malformed, 0, [], "", 0);
            }
            while (length == 0 && More());
            if (length == 0)
                return new(AnswerVerdict.Incomplete, 0, [], "", start);
            if (!ResponseParser.TryParse(buffer, start, length, head))
                return new(AnswerVerdict.Malformed, 0, [], "", 0);
            start += length;
        }
        while (head.IsInterim);

        var fields = new List<string>();
        for (var i = 0; i < head.Count; i++)
            fields.Add($"{head.NameOf(i)}: {head.ValueOf(i)}");
        var answer = new ReferenceAnswer(AnswerVerdict.Complete, head.Status, fields, "", start);
        string Rest(long most) => Encoding.Latin1.GetString(bytes.AsSpan(start, (int)Math.Min(most, bytes.Length - start)));
        switch (head.FramingFor(isHead))
        {
            case BodyFraming.None:
                return answer;
            case BodyFraming.UntilClose:
                return answer with { Verdict = head.Status == 205 && start < bytes.Length ? AnswerVerdict.Malformed : AnswerVerdict.Complete, Body = Rest(long.MaxValue), Used = bytes.Length };
            case BodyFraming.Length:
                var body = Rest(head.ContentLength);
                return answer with { Verdict = body.Length == head.ContentLength ? AnswerVerdict.Complete : AnswerVerdict.Incomplete, Body = body, Used = start + body.Length };
            default:
                return Chunks(answer, head.Status != 205);
        }

        ReferenceAnswer Chunks(ReferenceAnswer begun, bool mayHaveBytes)
        {
            var chunks = new ChunkedBody();
            chunks.Reset();
            var decoded = new StringBuilder();
            while (true)
            {
                if (!chunks.TryDecode(buffer.AsSpan(start, end - start), out var data, out var used) || (data > 0 && !mayHaveBytes))
                    return begun with { Verdict = AnswerVerdict.Malformed };
                decoded.Append(Encoding.Latin1.GetString(buffer.AsSpan(start, data)));
                start += used;
                var verdict = !chunks.IsDone ? AnswerVerdict.Incomplete : !chunks.HasTrailers || chunks.TryTrailers(new ResponseHead()) ? AnswerVerdict.Complete : AnswerVerdict.Malformed;
                if (chunks.IsDone || !More())
                    return begun with { Verdict = verdict, Body = decoded.ToString(), Used = start };
            }
        }
    }
}
