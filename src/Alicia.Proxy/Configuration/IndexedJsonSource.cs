using Microsoft.Extensions.Configuration.Json;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// A JSON file as a source of configuration that knows which keys stand directly below which. .NET's own looks at all keys of the file for each section: with ten thousand instances in it, that is ten
/// seconds of CPU at every start and reload.
/// </summary>
internal sealed class IndexedJsonSource : JsonStreamConfigurationSource
{
    public override IConfigurationProvider Build(IConfigurationBuilder builder) => new Provider(this);

    private sealed class Provider(IndexedJsonSource source) : JsonStreamConfigurationProvider(source)
    {
        /// <summary>Stands for the top, which is something else than a section with an empty name.</summary>
        private const string Top = "\0";

        private Dictionary<string, List<string>>? _below;

        /// <inheritdoc/>
        public override IEnumerable<string> GetChildKeys(IEnumerable<string> earlierKeys, string? parentPath)
        {
            _below ??= Index(Data.Keys);
            List<string> keys = [.. _below.GetValueOrDefault(parentPath ?? Top, []), .. earlierKeys];
            keys.Sort(ConfigurationKeyComparer.Instance.Compare);
            return keys;
        }

        private static Dictionary<string, List<string>> Index(IEnumerable<string> paths)
        {
            var below = new Dictionary<string, List<string>>(StringComparer.OrdinalIgnoreCase);
            var seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
            foreach (var path in paths)
            {
                // From the leaf up, until a section that is there already.
                for (var whole = path; seen.Add(whole);)
                {
                    var parent = ConfigurationPath.GetParentPath(whole);
                    if (!below.TryGetValue(parent ?? Top, out var keys))
                        below.Add(parent ?? Top, keys = []);
                    keys.Add(ConfigurationPath.GetSectionKey(whole));
                    if (parent is null)
                        break;
                    whole = parent;
                }
            }

            return below;
        }
    }
}
