using System.Buffers;
using System.Text;
using System.Text.Json;
using Alicia.Proxy.Bus;

namespace Alicia.Proxy.UnitTests.Bus;

/// <summary>Messages as others on the bus send them.</summary>
internal static class Messages
{
    public const string Register = "alicia/system/discovery/register";
    public const string Unregister = "alicia/system/discovery/unregister";
    public const string Command = "alicia/loadbalancer/command";

    /// <summary>Noon, for messages that say when.</summary>
    public static readonly DateTimeOffset Noon = new(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);

    /// <summary>The envelope that Alicia's services use.</summary>
    /// <remarks>Said at noon unless <c>at</c> gives other Unix seconds.</remarks>
    public static string Enveloped(string payload, double? at = null, double ttl = 300, string source = "tts_service", int hops = 0) => $$"""
        { "message_id": "5b1f7c6e-7b2f-4f4e-9a83-2f7b7e0c1a55", "timestamp": {{at ?? Envelope.Seconds(Noon)}}, "source": "{{source}}", "destination": "broadcast",
          "message_type": "event", "priority": "normal", "ttl": {{ttl}}, "payload": {{payload}}, "routing": { "hops": {{hops}}, "max_hops": 10 } }
        """;

    public static RawMessage Raw(string topic, string text, bool retained = false)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return new RawMessage(topic, bytes, bytes.Length, retained);
    }

    public static ReadOnlySequence<byte> Bytes(int length) => new(new byte[length]);

    /// <summary>The payload of a message that the proxy published.</summary>
    public static JsonElement PayloadOf(OutgoingMessage message) => JsonElement.Parse(message.Payload).GetProperty("payload");
}
