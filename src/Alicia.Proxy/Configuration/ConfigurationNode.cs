using System.Diagnostics.CodeAnalysis;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// <see cref="ConfigurationKeys"/> as the tree that a configuration file is: sections, maps with names that the user picks, lists, and keys
/// at the leaves.
/// </summary>
internal sealed class ConfigurationNode
{
    /// <summary>The top of every configuration file.</summary>
    public static readonly ConfigurationNode Root = Build();

    private readonly Dictionary<string, ConfigurationNode> _children = new(StringComparer.OrdinalIgnoreCase);

    private ConfigurationNode(string name) => Name = name;

    /// <summary>The segment in its canonical spelling.</summary>
    public string Name { get; }

    /// <summary>The key, when this is a leaf.</summary>
    public ConfigurationKey? Key { get; private set; }

    /// <summary>Fixed children, in the order of the table.</summary>
    public IReadOnlyCollection<ConfigurationNode> Children => _children.Values;

    /// <summary>What stands below a name that the user picks, or null when all names are fixed.</summary>
    public ConfigurationNode? Any { get; private set; }

    /// <summary>True when the names below are positions.</summary>
    public bool IsList => Any?.Name == "{index}";

    /// <summary>For a section that takes anything: its purpose; otherwise null.</summary>
    public string? OpenPurpose { get; private set; }

    public bool TryGet(string name, [NotNullWhen(true)] out ConfigurationNode? child) => _children.TryGetValue(name, out child);

    private static ConfigurationNode Build()
    {
        var root = new ConfigurationNode("");
        foreach (var key in ConfigurationKeys.All)
            root.Put(key.Path).Key = key;
        foreach (var (path, purpose) in ConfigurationKeys.OpenSections)
            root.Put(path).OpenPurpose = purpose;
        return root;
    }

    private ConfigurationNode Put(string path)
    {
        var node = this;
        foreach (var segment in path.Split(':'))
        {
            if (segment[0] == '{')
            {
                node = node.Any ??= new ConfigurationNode(segment);
                continue;
            }

            if (!node._children.TryGetValue(segment, out var child))
                node._children.Add(segment, child = new ConfigurationNode(segment));
            node = child;
        }

        return node;
    }
}
