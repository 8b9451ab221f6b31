using System.Text.Json;
using System.Text.RegularExpressions;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.UnitTests.Configuration;

public class ConfigurationSchemaTests
{
    [Fact]
    public void The_committed_schema_is_what_the_keys_say()
    {
        var fresh = ConfigurationSchema.Write();
        var file = ConfigFile("alicia.schema.json");
        if (File.Exists(file) && File.ReadAllText(file) == fresh)
            return;
        var copy = Path.Combine(Directory.CreateTempSubdirectory("alicia-").FullName, "alicia.schema.json");
        File.WriteAllText(copy, fresh);
        Assert.Fail($"config/alicia.schema.json is out of date. Look at the fresh text and copy it over: cp {copy} config/alicia.schema.json");
    }

    [Fact]
    public void The_sample_loads_without_faults_and_keeps_to_the_schema()
    {
        var text = File.ReadAllText(ConfigFile("alicia.json"));
        var value = ReaderSteps.ValidJson(text);
        using var sample = JsonDocument.Parse(text, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip });
        using var schema = JsonDocument.Parse(ConfigurationSchema.Write());

        Violations(sample.RootElement, schema.RootElement, "$").Should().BeEmpty();
        value.Mqtt.Addresses.Should().HaveCount(20);
        value.Mqtt.AddressOf("tts_service").Should().Be(new InstanceAddress("http", "alicia_tts_service", 8003));
        value.Mqtt.AddressOf("config_service")!.Port.Should().Be(8084);
    }

    [Fact]
    public void The_sample_states_the_defaults() => ReaderSteps.ValidJson(File.ReadAllText(ConfigFile("alicia.json"))).Fingerprint
        .ChangesTo(ReaderSteps.Valid().Fingerprint).NeedRestart.Should().OnlyContain(key => key.StartsWith("Mqtt:Addresses:"));

    [Fact]
    public void The_reference_page_has_a_row_with_the_default_for_every_key()
    {
        var rows = File.ReadAllLines(InRepository("docs/configuration.md"))
            .Where(line => line.StartsWith("| `"))
            .Select(line => line.Replace("`", "").Replace(" ", "").Split('|'))
            .ToLookup(cells => cells[1], cells => cells[2]);

        foreach (var key in ConfigurationKeys.All.Where(key => !key.Path.Contains("{index}:HealthCheck:")))
        {
            var name = key.Path.Replace("Services:{service}:", "").Replace("Defaults:", "");
            rows[name].Should().ContainSingle(name);
            // An empty list is described in words.
            if (key.HasDefault && key.Codec.ToText(key.DefaultValue).Replace(" ", "") is { Length: > 0 } text)
                rows[name].Single().Should().Be(text, name);
        }
    }

    [Fact]
    public void The_keys_that_wait_for_a_restart_are_those_that_a_reload_keeps() =>
        ConfigurationKeys.All.Where(key => key.NeedsRestart).Select(key => key.Path)
            .Where(path => !path.StartsWith("Listen:") && !path.StartsWith("Mqtt:"))
            .Should().Equal("Registry:Store", "Registry:Path", "Affinity:Key", "Logging:Format", "Forwarding:Http1", "Tls:HandshakeTimeout");

    [Theory]
    [InlineData("""{ "Registry": { "Pth": "x" } }""")]
    [InlineData("""{ "Unknown": 1 }""")]
    [InlineData("""{ "Registry": { "Store": "postgres" } }""")]
    [InlineData("""{ "Mqtt": { "Port": 65536 } }""")]
    [InlineData("""{ "Services": { "Bad Name": {} } }""")]
    [InlineData("""{ "Shutdown": { "Grace": "30" } }""")]
    [InlineData("""{ "Services": { "tts": { "Instances": [{ "Hots": "x" }] } } }""")]
    [InlineData("""{ "Defaults": { "HealthCheck": { "Rise": 0 } } }""")]
    [InlineData("""{ "Listen": { "Management": ["h2c://127.0.0.1:1"] } }""")]
    public void What_the_reader_refuses_the_schema_refuses_too(string json)
    {
        using var file = JsonDocument.Parse(json);
        using var schema = JsonDocument.Parse(ConfigurationSchema.Write());

        ReaderSteps.ReadJson(json).Faults.Should().NotBeEmpty();
        Violations(file.RootElement, schema.RootElement, "$").Should().NotBeEmpty();
    }

    [Fact]
    public void Every_default_in_the_schema_keeps_to_its_own_rule()
    {
        using var schema = JsonDocument.Parse(ConfigurationSchema.Write());
        var seen = 0;
        Walk(schema.RootElement);
        seen.Should().BeGreaterThan(40);

        void Walk(JsonElement node)
        {
            if (node.ValueKind != JsonValueKind.Object)
                return;
            if (node.TryGetProperty("default", out var value))
            {
                seen++;
                Violations(value, node, node.GetRawText()).Should().BeEmpty();
            }

            foreach (var property in node.EnumerateObject())
                Walk(property.Value);
        }
    }

    /// <summary>The part of JSON Schema that the generator uses.</summary>
    private static IEnumerable<string> Violations(JsonElement value, JsonElement schema, string path)
    {
        if (schema.TryGetProperty("anyOf", out var any) && !any.EnumerateArray().Any(one => !Violations(value, one, path).Any()))
            yield return $"{path}: none of the alternatives";
        if (schema.TryGetProperty("type", out var type) && !IsOf(value, type.GetString()!))
        {
            yield return $"{path}: not of type {type}";
            yield break;
        }

        if (schema.TryGetProperty("enum", out var words) && !words.EnumerateArray().Any(word => JsonElement.DeepEquals(word, value)))
            yield return $"{path}: not one of {words}";
        if (value.ValueKind == JsonValueKind.String && schema.TryGetProperty("pattern", out var pattern) && !Regex.IsMatch(value.GetString()!, pattern.GetString()!))
            yield return $"{path}: not like {pattern}";
        if (schema.TryGetProperty("minimum", out var min) && value.GetDouble() < min.GetDouble())
            yield return $"{path}: below {min}";
        if (schema.TryGetProperty("maximum", out var max) && value.GetDouble() > max.GetDouble())
            yield return $"{path}: above {max}";
        if (schema.TryGetProperty("items", out var items))
        {
            foreach (var fault in value.EnumerateArray().SelectMany(item => Violations(item, items, path + "[]")))
                yield return fault;
        }

        if (value.ValueKind != JsonValueKind.Object)
            yield break;
        foreach (var property in value.EnumerateObject())
        {
            var below = $"{path}.{property.Name}";
            if (schema.TryGetProperty("properties", out var known) && known.TryGetProperty(property.Name, out var child))
            {
                foreach (var fault in Violations(property.Value, child, below))
                    yield return fault;
                continue;
            }

            if (schema.TryGetProperty("propertyNames", out var names) && !Regex.IsMatch(property.Name, names.GetProperty("pattern").GetString()!))
                yield return $"{below}: bad name";
            if (!schema.TryGetProperty("additionalProperties", out var others))
                continue;
            if (others.ValueKind == JsonValueKind.False)
                yield return $"{below}: unknown";
            else
                foreach (var fault in Violations(property.Value, others, below))
                    yield return fault;
        }
    }

    private static bool IsOf(JsonElement value, string type) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "number" => value.ValueKind == JsonValueKind.Number,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        _ => throw new NotSupportedException(type),
    };

    private static string ConfigFile(string name) => InRepository("config/" + name);

    /// <summary>Found from where the tests run: the path of a source file is not a real one in a deterministic build.</summary>
    private static string InRepository(string name)
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Alicia.Proxy.sln")))
            folder = folder.Parent;
        return Path.Combine(folder?.FullName ?? throw new DirectoryNotFoundException("no Alicia.Proxy.sln above the tests"), name);
    }
}
