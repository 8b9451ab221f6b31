namespace Alicia.Proxy.Configuration;

/// <summary>
/// The environment variables that are meant for the proxy: <c>Registry__Path</c> for <c>Registry:Path</c>, and the four names that running
/// deployments already set for the broker. Any other variable is somebody else's, whatever it is called.
/// </summary>
internal static class EnvironmentLayer
{
    private static readonly (string Variable, ConfigurationKey Key)[] Aliases =
    [
        ("MQTT_BROKER", ConfigurationKeys.MqttHost),
        ("MQTT_PORT", ConfigurationKeys.MqttPort),
        ("MQTT_USERNAME", ConfigurationKeys.MqttUsername),
        ("MQTT_PASSWORD", ConfigurationKeys.MqttPassword),
    ];

    public static Dictionary<string, string?> Read(IReadOnlyDictionary<string, string> environment)
    {
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (var (variable, key) in Aliases)
        {
            // Compose files pass on what is not set as an empty variable.
            if (environment.TryGetValue(variable, out var value) && value.Length > 0)
                values[key.Path] = value;
        }

        // In order, so that two spellings of one key have the same winner every time.
        foreach (var (variable, value) in environment.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            var path = variable.Replace("__", ":", StringComparison.Ordinal);
            var end = path.IndexOf(':', StringComparison.Ordinal);
            if (end > 0 && ConfigurationNode.Root.TryGet(path[..end], out _))
                values[path] = value;
        }

        return values;
    }
}
