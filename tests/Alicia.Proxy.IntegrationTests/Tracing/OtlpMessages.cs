using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Alicia.Proxy.IntegrationTests.Tracing;

/// <summary>A span as a receiver of OTLP gets it.</summary>
/// <param name="Kind">2 is a server's, 3 a client's.</param>
/// <param name="StatusCode">0 unset, 1 fine, 2 error.</param>
internal sealed record OtlpSpan(string TraceId, string SpanId, string ParentId, string TraceState, string Name, int Kind, ulong Start, ulong End, int StatusCode,
    IReadOnlyDictionary<string, string> Attributes, IReadOnlyDictionary<string, string> Resource, string Scope)
{
    public const int Server = 2;
    public const int Client = 3;
}

/// <summary>Reads the messages of the OTLP protocol (opentelemetry/proto/collector/trace/v1) from their bytes, by the numbers of their fields.</summary>
internal static class OtlpMessages
{
    /// <summary>The spans of an ExportTraceServiceRequest.</summary>
    /// <exception cref="InvalidDataException">It is none.</exception>
    public static IEnumerable<OtlpSpan> Spans(byte[] request)
    {
        foreach (var resourceSpans in Fields(request).Where(f => f.Number == 1))
        {
            var parts = Fields(resourceSpans.Bytes);
            var resource = parts.Where(f => f.Number == 1).SelectMany(f => Attributes(Fields(f.Bytes), 1)).ToDictionary();
            foreach (var scopeSpans in parts.Where(f => f.Number == 2))
            {
                var inner = Fields(scopeSpans.Bytes);
                var scope = Text(Fields(inner.First(f => f.Number == 1).Bytes), 1);
                foreach (var span in inner.Where(f => f.Number == 2))
                    yield return Span(Fields(span.Bytes), resource, scope);
            }
        }
    }

    private static OtlpSpan Span(List<Field> fields, Dictionary<string, string> resource, string scope) => new(
        Hex(fields, 1), Hex(fields, 2), Hex(fields, 4), Text(fields, 3), Text(fields, 5), (int)Number(fields, 6), Number(fields, 7), Number(fields, 8),
        (int)Number(Fields(Bytes(fields, 15)), 3), Attributes(fields, 9).ToDictionary(), resource, scope);

    private static IEnumerable<KeyValuePair<string, string>> Attributes(List<Field> fields, int number) =>
        from attribute in fields.Where(f => f.Number == number)
        let pair = Fields(attribute.Bytes)
        let value = Fields(Bytes(pair, 2)).Single()
        select KeyValuePair.Create(Text(pair, 1), value.Number switch
        {
            1 => Encoding.UTF8.GetString(value.Bytes),
            3 => ((long)value.Value).ToString(CultureInfo.InvariantCulture),
            var other => throw new InvalidDataException($"an attribute of kind {other}"),
        });

    private static byte[] Bytes(List<Field> fields, int number) => fields.FirstOrDefault(f => f.Number == number)?.Bytes ?? [];

    private static string Text(List<Field> fields, int number) => Encoding.UTF8.GetString(Bytes(fields, number));

    private static string Hex(List<Field> fields, int number) => Convert.ToHexStringLower(Bytes(fields, number));

    private static ulong Number(List<Field> fields, int number) => fields.FirstOrDefault(f => f.Number == number)?.Value ?? 0;

    private static List<Field> Fields(byte[] message)
    {
        var fields = new List<Field>();
        var at = 0;
        while (at < message.Length)
        {
            var key = Varint(message, ref at);
            var number = (int)(key >> 3);
            switch (key & 7)
            {
                case 0:
                    fields.Add(new Field(number, Varint(message, ref at), []));
                    break;
                case 1:
                    fields.Add(new Field(number, BinaryPrimitives.ReadUInt64LittleEndian(message.AsSpan(at)), []));
                    at += 8;
                    break;
                case 2:
                    var length = (int)Varint(message, ref at);
                    fields.Add(new Field(number, 0, message[at..(at + length)]));
                    at += length;
                    break;
                case 5:
                    fields.Add(new Field(number, BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(at)), []));
                    at += 4;
                    break;
                default:
                    throw new InvalidDataException($"no wire type {key & 7}");
            }
        }

        return fields;
    }

    private static ulong Varint(byte[] message, ref int at)
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = message[at++];
            value |= (ulong)(part & 0x7f) << shift;
            if (part < 0x80)
                return value;
        }

        throw new InvalidDataException("a number without an end");
    }

    private sealed record Field(int Number, ulong Value, byte[] Bytes);
}
