using System.Collections.Immutable;
using System.Text.Json;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Storage;

/// <summary>
/// The JSON document of a stored instance: everything but service, id and epoch, which are columns of its row. What is null or false is left out.
/// </summary>
internal static class StoredInstanceDocument
{
    private static readonly (UpstreamProtocol Value, string Word)[] Protocols =
        [(UpstreamProtocol.Http1, "http1"), (UpstreamProtocol.Http2, "http2"), (UpstreamProtocol.H2c, "h2c")];

    // Configuration's instances are in the configuration file, and only there.
    private static readonly (RegistrationSource Value, string Word)[] Sources =
        [(RegistrationSource.Api, "api"), (RegistrationSource.Mqtt, "mqtt")];

    public static string Write(Instance instance) => StoredDocuments.Write(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("scheme", instance.Scheme);
        writer.WriteString("host", instance.Host);
        writer.WriteNumber("port", instance.Port);
        writer.WriteString("protocol", Word(Protocols, instance.Protocol));
        writer.WriteNumber("weight", instance.RegisteredWeight);
        WriteIfSet(writer, "operator_weight", instance.OperatorWeight);
        WriteIfSet(writer, "max_connections", instance.MaxConnections);
        WriteIfSet(writer, "ttl_seconds", instance.TtlSeconds);
        WriteIfSet(writer, "priority", instance.Priority == 0 ? null : instance.Priority);
        if (!instance.HealthCheck.IsEmpty)
        {
            writer.WritePropertyName("health_check");
            StoredDocuments.WriteSettings(writer, instance.HealthCheck);
        }

        if (!instance.Metadata.IsEmpty)
        {
            writer.WriteStartObject("metadata");
            foreach (var (name, value) in instance.Metadata)
                writer.WriteString(name, value);
            writer.WriteEndObject();
        }

        writer.WriteString("registered_at", instance.RegisteredAt);
        writer.WriteString("source", Word(Sources, instance.Source));
        if (instance.OperatorDrain)
            writer.WriteBoolean("operator_drain", true);
        // Absent in files of the version before probes: there, whatever was registered served.
        if (!instance.Admitted)
            writer.WriteBoolean("pending", true);
        writer.WriteEndObject();
    });

    /// <exception cref="FormatException">The document is damaged, or a newer version wrote it.</exception>
    public static Instance Read(string serviceName, string instanceId, long epoch, string text) => StoredDocuments.Read(text, json =>
    {
        string? scheme = null, host = null;
        int? port = null, weight = null;
        UpstreamProtocol? protocol = null;
        RegistrationSource? source = null;
        DateTimeOffset? registeredAt = null;
        int? operatorWeight = null, maxConnections = null, ttlSeconds = null, priority = null;
        var healthCheck = SettingOverrides.Empty;
        var metadata = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);
        var (operatorDrain, pending) = (false, false);

        foreach (var property in StoredDocuments.PropertiesOf(json))
        {
            switch (property.Name)
            {
                case "scheme":
                    scheme = StoredDocuments.Text(property) is "http" or "https"
                        ? property.Value.GetString()
                        : throw StoredDocuments.Broken(property, "http or https");
                    break;
                case "host":
                    host = StoredDocuments.Text(property);
                    break;
                case "port":
                    port = StoredDocuments.Number(property, 1, 65535);
                    break;
                case "protocol":
                    protocol = Value(Protocols, property);
                    break;
                case "weight":
                    weight = StoredDocuments.Number(property, 1, 1000);
                    break;
                case "operator_weight":
                    operatorWeight = StoredDocuments.Number(property, 1, 1000);
                    break;
                case "max_connections":
                    maxConnections = StoredDocuments.Number(property, 1, int.MaxValue);
                    break;
                case "ttl_seconds":
                    ttlSeconds = StoredDocuments.Number(property, 0, int.MaxValue);
                    break;
                case "priority":
                    priority = StoredDocuments.Number(property, 0, InstanceRules.MaxPriority);
                    break;
                case "health_check":
                    healthCheck = StoredDocuments.ReadSettings(property.Value);
                    break;
                case "metadata":
                    metadata = metadata.AddRange(StoredDocuments.PropertiesOf(property.Value)
                        .Select(entry => KeyValuePair.Create(entry.Name, StoredDocuments.Text(entry))));
                    break;
                case "registered_at":
                    registeredAt = StoredDocuments.Text(property).Length > 0 && property.Value.TryGetDateTimeOffset(out var time)
                        ? time
                        : throw StoredDocuments.Broken(property, "a time");
                    break;
                case "source":
                    source = Value(Sources, property);
                    break;
                case "operator_drain":
                    operatorDrain = StoredDocuments.Flag(property);
                    break;
                case "pending":
                    pending = StoredDocuments.Flag(property);
                    break;
                default:
                    throw StoredDocuments.Unknown(property);
            }
        }

        return new Instance
        {
            ServiceName = serviceName,
            InstanceId = instanceId,
            Epoch = epoch,
            Scheme = scheme ?? throw Missing("scheme"),
            Host = host ?? throw Missing("host"),
            Port = port ?? throw Missing("port"),
            Protocol = protocol ?? throw Missing("protocol"),
            RegisteredWeight = weight ?? throw Missing("weight"),
            OperatorWeight = operatorWeight,
            MaxConnections = maxConnections,
            TtlSeconds = ttlSeconds,
            Priority = priority ?? 0,
            HealthCheck = healthCheck,
            Metadata = metadata,
            RegisteredAt = registeredAt ?? throw Missing("registered_at"),
            Source = source ?? throw Missing("source"),
            OperatorDrain = operatorDrain,
            Admitted = !pending,
        };
    });

    private static void WriteIfSet(Utf8JsonWriter writer, string name, int? value)
    {
        if (value is { } number)
            writer.WriteNumber(name, number);
    }

    private static string Word<T>((T Value, string Word)[] words, T value)
        where T : struct, Enum
    {
        foreach (var entry in words)
        {
            if (EqualityComparer<T>.Default.Equals(entry.Value, value))
                return entry.Word;
        }

        throw new ArgumentOutOfRangeException(nameof(value), value, "not a value that is stored");
    }

    private static T Value<T>((T Value, string Word)[] words, JsonProperty property)
        where T : struct, Enum
    {
        var text = StoredDocuments.Text(property);
        foreach (var entry in words)
        {
            if (entry.Word == text)
                return entry.Value;
        }

        throw StoredDocuments.Broken(property, "one of " + string.Join(", ", words.Select(entry => entry.Word)));
    }

    private static FormatException Missing(string name) => new($"it has no \"{name}\"");
}
