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
        /// <summary>Keys by <see cref="Prefix"/>.</summary>
        private Dictionary<string, List<string>>? _below;

        /// <inheritdoc/>
        public override IEnumerable<string> GetChildKeys(IEnumerable<string> earlierKeys, string? parentPath)
        {
            _below ??= Index(Data.Keys);
            List<string> keys = [.. _below.GetValueOrDefault(Prefix(parentPath), []), .. earlierKeys];
            keys.Sort(ConfigurationKeyComparer.Instance.Compare);
            return keys;
        }

        /// <summary>What stands before the keys of a section; nothing at the top, which is not the section with the empty name.</summary>
        private static string Prefix(string? section) => section is null ? "" : section + ConfigurationPath.KeyDelimiter;

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
                    if (!below.TryGetValue(Prefix(parent), out var keys))
                        below.Add(Prefix(parent), keys = []);
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
