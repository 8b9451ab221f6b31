using System.Globalization;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// The arguments of the program: <c>--config FILE</c> (or <c>--config=FILE</c>) and keys, as <c>--Registry:Path=…</c> or
/// <c>--Registry:Path …</c>. Stricter than .NET's own reading, which passes over what it does not understand.
/// </summary>
/// <param name="ConfigFile">What <c>--config</c> names, or null.</param>
/// <param name="Values">The keys that are given; the last of two wins.</param>
/// <param name="Faults">Arguments that make no sense; their text is not shown, it may be a secret.</param>
internal sealed record CommandLineLayer(
    string? ConfigFile, IReadOnlyDictionary<string, string?> Values, IReadOnlyList<ConfigurationFault> Faults)
{
    public static CommandLineLayer Read(IReadOnlyList<string> args)
    {
        string? configFile = null;
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        var faults = new List<ConfigurationFault>();
        for (var i = 0; i < args.Count; i++)
        {
            if (!args[i].StartsWith("--", StringComparison.Ordinal) || args[i].Length == 2)
            {
                faults.Add(new ConfigurationFault(string.Create(CultureInfo.InvariantCulture, $"argument {i + 1}"),
                    "is not understood: keys are given as --Registry:Path=VALUE or --Registry:Path VALUE, a file as --config FILE"));
                continue;
            }

            var equals = args[i].IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? args[i][2..] : args[i][2..equals];
            string value;
            if (equals >= 0)
            {
                value = args[i][(equals + 1)..];
            }
            else if (i + 1 < args.Count && !args[i + 1].StartsWith("--", StringComparison.Ordinal))
            {
                value = args[++i];
            }
            else
            {
                faults.Add(new ConfigurationFault("--" + name, "needs a value"));
                continue;
            }

            if (name != "config")
                values[name] = value;
            else if (configFile is not null || value.Length == 0)
                faults.Add(new ConfigurationFault("--config", configFile is null ? "needs a file" : "may be given once only"));
            else
                configFile = value;
        }

        return new CommandLineLayer(configFile, values, faults);
    }
}
