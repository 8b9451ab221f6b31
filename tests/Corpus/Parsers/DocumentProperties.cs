using System.Globalization;
using System.Text;
using System.Text.Json;
using Alicia.Proxy.Api;
using Alicia.Proxy.Bus;
using Alicia.Proxy.Registry.Documents;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;
using Alicia.Proxy.Security;
using Microsoft.AspNetCore.Http;

namespace Alicia.Proxy.Corpus.Parsers;

/// <summary>Makes JSON that resembles what the API and the bus take.</summary>
internal static class GeneratedJson
{
    private static readonly string[] Names =
    [
        "service_name", "instance_id", "host", "port", "weight", "ttl_seconds", "health_check", "status", "payload", "source", "timestamp", "ttl", "routing", "hops", "max_hops", "command", "parameters", "weights", "will",
        "metadata", "message_id", "device_id", "path", "routes", "settings", "algorithm", "state", "x", "rate_limit", "fields", "request", "set", "é", "\\u00e9", "",
    ];

    private static readonly string[] Scalars =
    [
        "1", "-1", "0", "1.5", "1e400", "99999999999", "true", "false", "null", "\"tts\"", "\"10.0.0.5\"", "\"healthy\"", "\"offline\"", "\"set_algorithm\"", "\"drain\"", "\"round_robin\"", "\"\"", "\"\\ud800\"", "\"load_balancer\"",
        "\"\\u0000\"", "8003", "\"é\"", "1763000000.5",
    ];

    public static string Object(Random random, int depth = 3)
    {
        var text = new StringBuilder("{");
        for (var i = random.Next(5); i > 0; i--)
            text.Append('"').Append(random.Of<string>(Names)).Append("\":").Append(Value(random, depth)).Append(i > 1 ? "," : "");
        return text.Append('}').ToString();
    }

    public static string Value(Random random, int depth) =>
        depth > 0 && random.Next(3) == 0 ? random.Next(4) == 0 ? $"[{Value(random, depth - 1)},{Object(random, depth - 1)}]" : Object(random, depth - 1) : random.Of<string>(Scalars);
}

/// <summary>What is heard on the bus.</summary>
internal sealed class BusMessageProperty() : ParserProperty("InboundMessages", "throws nothing, says the same twice, and means the same in an envelope as bare")
{
    public override int Inputs => 60_000;

    private static readonly string[] OfEnvelopes = ["payload", "source", "timestamp", "ttl", "routing", "message_id"];
    private static readonly Topics Topics = new("alicia");
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_763_000_000);

    private static readonly string[] Known =
    [
        "alicia/system/discovery/register", "alicia/system/discovery/unregister", "alicia/system/health/tts", "alicia/system/health/check", "alicia/loadbalancer/command", "alicia/load_balancer/command",
    ];

    public override void Check(Random random)
    {
        var topic = random.Next(20) == 0 ? random.Mutated(random.Of<string>(Known)) : random.Of<string>(Known);
        var payload = random.Next(3) == 0 ? Likely(random) : GeneratedJson.Object(random);
        var enveloped = $$"""{"message_id":"1","source":"tts","timestamp":1763000000,"ttl":300,"payload":{{payload}}}""";
        var bare = Read(topic, payload);
        // Bare, its own fields are those of the envelope.
        if (!Array.Exists(OfEnvelopes, name => payload.Contains($"\"{name}\":", StringComparison.Ordinal)))
            Require(Read(topic, enveloped).GetType() == bare.GetType(), $"bare it is {bare}", enveloped);
        var strange = random.Mutated(random.Next(2) == 0 ? enveloped : payload);
        var (once, twice) = (Read(topic, strange), Read(topic, strange));
        Require(once.GetType() == twice.GetType() && (once is not InboundMessage.WithoutEffect nothing || nothing == twice), $"once {once}, twice {twice}", strange);
        if (once is InboundMessage.Registration registration)
            Require(Names.IsService(registration.Service), "registers under no name", strange);
    }

    private static string Likely(Random random) => random.Of(
        """{"service_name":"tts","host":"10.0.0.5","port":8003}""", """{"service_name":"tts","status":"online"}""", """{"service_name":"tts","status":"unhealthy"}""", """{"service_name":"tts","will":true}""",
        """{"command":"set_algorithm","service_name":"tts","algorithm":"random"}""", """{"command":"update_weights","parameters":{"service_name":"tts","weights":{"a":2}}}""", """{"device_id":"x"}""");

    private static InboundMessage Read(string topic, string text)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        return InboundMessages.Read(Topics, new RawMessage(topic, bytes, bytes.Length, Retained: false), Now);
    }
}

/// <summary>Bodies of the API.</summary>
internal sealed class ApiDocumentProperty() : ParserProperty("WireObject and RequestReaders", "any JSON object is read or its faults are told, each with a field; what is taken is as the rules have it")
{
    public override int Inputs => 40_000;

    public override void Check(Random random)
    {
        using var document = JsonDocument.Parse(GeneratedJson.Object(random), new JsonDocumentOptions { AllowDuplicateProperties = true });
        var text = document.RootElement.GetRawText();
        switch (random.Next(3))
        {
            case 0:
                Faults(RequestReaders.Registration, document.RootElement, text);
                break;
            case 1:
                Faults(RequestReaders.InstancePatch, document.RootElement, text);
                break;
            default:
                Faults(RequestReaders.ServiceEdit, document.RootElement, text);
                break;
        }
    }

    private static void Faults<T>(Func<WireObject, T> read, JsonElement json, string text)
    {
        var (first, second) = (new FaultList(), new FaultList());
        _ = read(new WireObject(json, "", first));
        _ = read(new WireObject(json, "", second));
        Require(first.All.Select(f => f.ToString()).SequenceEqual(second.All.Select(f => f.ToString())), "faults differ the second time", text);
        Require(first.All.All(f => f.Message.Length > 0), "a fault without words", text);
    }
}

/// <summary>Query parameters and conditions of the API.</summary>
internal sealed class ApiParameterProperty() : ParserProperty("RequestReaders.Wait and Precondition", "waits are seconds from 0 to 300 or a fault; a tag that is not one of ours never matches")
{
    private static readonly string[] Numbers = ["0", "1", "30", "300", "301", ".5", "-", "+", "e1", "NaN", "Infinity", " ", ",", "1e2", "\u0661", "999999999999999999999"];
    private static readonly string[] Tags = ["\"1\"", "\"23\"", "W/\"1\"", "*", ",", ", ", "\"", "\"x\"", "\"-1\"", "\"99999999999999999999\"", " "];

    public override void Check(Random random)
    {
        var context = new DefaultHttpContext();
        var text = random.Text(Numbers, 2);
        context.Request.Query = new QueryCollection(new Dictionary<string, Microsoft.Extensions.Primitives.StringValues>(StringComparer.Ordinal) { ["wait"] = text });
        var faults = new FaultList();
        var wait = RequestReaders.Wait(context.Request, faults);
        Require(faults.Any ? wait == TimeSpan.Zero : wait >= TimeSpan.Zero && wait <= TimeSpan.FromSeconds(300), $"waits {wait}", text);
        Require(!faults.Any == (decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds <= 300), faults.Any ? "is a fault" : "is taken", text);

        var tags = random.Text(Tags, 4);
        context.Request.Headers.IfMatch = tags;
        var condition = RequestReaders.Precondition(context.Request);
        foreach (var revision in condition.Revisions ?? [])
            Require(tags.Split(',').Any(t => t.Trim() == string.Create(CultureInfo.InvariantCulture, $"\"{revision}\"")), $"revision {revision}", tags);
    }
}

/// <summary>Values of settings: numbers, durations, lists, names.</summary>
internal sealed class SettingProperty() : ParserProperty("Codecs of settings", "what is taken, as text or as JSON, is written as what is taken again and means the same")
{
    private static readonly string[] Parts =
    [
        "0", "1", "10", "100", "00:00:05", "00:00:00.5", "1.00:00:00", "24:00:00", ":", ".", "none", "off", "true", "false", "round_robin", "200-399", "200", ",", ", ", "301-308", "-", "/health", "X-Api-Key", "{\"X-Own\":\"1\"}", "{}", "[", "]",
        "service", "field", "client", "1.9", "a", "é", "\0", "***", "999999999999", "instance", "http",
    ];

    private static readonly string[] Json = ["0", "1", "5.5", "0.1", "1e9", "-1", "true", "null", "\"none\"", "\"200-399\"", "\"round_robin\"", "[200,502]", "[\"X-Own\"]", "[]", "{\"X-Own\":\"1\"}", "{}", "\"/health\"", "\"X\"", "31622400", "0.0000001", "[1.5]"];

    public override void Check(Random random)
    {
        var key = SettingKeys.All[random.Next(SettingKeys.All.Count)];
        var codec = key.Codec;
        var text = random.Mutated(random.Text(Parts, 3));
        if (codec.TryParseText(text, out var value))
            RoundTrip(codec, value, $"{key.ConfigPath} = {text}");
        using var json = JsonDocument.Parse(random.Of<string>(Json));
        if (json.RootElement.ValueKind != JsonValueKind.Null && codec.TryParseJson(json.RootElement, out value))
            RoundTrip(codec, value, $"{key.WirePath} = {json.RootElement.GetRawText()}");
    }

    private static void RoundTrip(ISettingCodec codec, object? value, string input)
    {
        var text = codec.ToText(value);
        Require(codec.TryParseText(text, out var again) && codec.ToText(again) == text, $"comes back as '{text}', which is {(again is null ? "nothing" : codec.ToText(again))}", input);
        if (value is null)
            return;
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
            codec.WriteJson(writer, value);
        using var json = JsonDocument.Parse(buffer.ToArray());
        Require(codec.TryParseJson(json.RootElement, out var third) && codec.ToText(third) == text, $"in JSON it is {json.RootElement.GetRawText()}", input);
    }
}

/// <summary>What strangers write into the audit log.</summary>
internal sealed class AuditTextProperty() : ParserProperty("AuditLog.Quoted", "cannot leave its quotes, break the line or steer a terminal")
{
    private static readonly string[] Parts = ["a", "\"", "\r\n", "\u001b[31m", "\0", "\u2028", "\u202e", "é", "\ud800", "'", "\\", "\u0085", "\u009b", new('x', 300)];

    public override void Check(Random random)
    {
        var text = random.Text(Parts, 8);
        var quoted = AuditLog.Quoted(text);
        Require(!quoted.Any(c => c is '"' || char.IsControl(c) || c is '\u2028' or '\u202e' || char.IsSurrogate(c)) && quoted.Length <= 520, $"is '{Shown(quoted)}'", text);
    }
}
