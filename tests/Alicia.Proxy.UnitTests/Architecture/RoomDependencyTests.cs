using System.Text.RegularExpressions;

namespace Alicia.Proxy.UnitTests.Architecture;

/// <summary>
/// Holds the rooms of the source (its top folders) against the table of who may know whom. Data and control flow one way; a circle would mean that neither of
/// two rooms can be read, tested or changed without the other.
/// </summary>
public sealed partial class RoomDependencyTests
{
    private static readonly string[] Features =
        ["Admission", "Balancing", "Bus", "Callers", "Circuit", "Connections", "Direct", "Draining", "Ejection", "Events", "Forwarding", "Health", "Http1", "Live", "ProxyProtocol", "Registry", "Routing", "Sockets", "Storage", "Tls"];

    /// <summary>Room → rooms that it may know. Some rooms are not built yet; their rows say where they will stand.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Live"] = [],
        ["Http1"] = [],
        ["Sockets"] = [],
        ["Callers"] = ["Http1", "Live"],
        ["Events"] = [],
        ["Circuit"] = ["Events", "Live"],
        ["Registry"] = ["Events"],
        ["Storage"] = ["Registry"],
        ["Connections"] = ["Http1", "Live", "Registry", "Sockets", "Tls"],
        ["Direct"] = ["Connections", "Http1", "Live", "Sockets"],
        ["RateLimits"] = ["Registry"],
        ["Balancing"] = ["RateLimits", "Circuit", "Connections", "Live", "Registry"],
        ["Admission"] = ["Balancing", "Circuit", "Live", "Registry"],
        ["Routing"] = ["RateLimits", "Admission", "Balancing", "Circuit", "Connections", "Events", "Live", "Registry"],
        ["Ejection"] = ["Balancing", "Circuit", "Live", "Registry", "Routing"],
        ["Draining"] = ["Circuit", "Connections", "Live", "Registry"],
        ["Forwarding"] = ["RateLimits", "Admission", "Balancing", "Callers", "Circuit", "Connections", "Direct", "Http1", "Live", "Registry", "Routing"],
        ["Health"] = ["Balancing", "Circuit", "Connections", "Events", "Live", "Registry", "Routing"],
        ["Bus"] = ["Circuit", "Configuration", "Connections", "Events", "Health", "Live", "Registry", "Routing", "Security"],
        ["Configuration"] = ["Registry"],
        ["ProxyProtocol"] = ["Configuration"],
        ["Tls"] = ["Configuration"],
        ["Security"] = ["Configuration", "Registry"],
        ["Telemetry"] = ["Configuration", "Security", .. Features],
        ["Api"] = ["Configuration", "Security", "Telemetry", .. Features],
        ["Hosting"] = ["Api", "Configuration", "Security", "Telemetry", .. Features],
    };

    private static readonly string Source = Path.Combine(SolutionFolder(), "src", "Alicia.Proxy");

    [Fact]
    public void Every_folder_of_the_source_has_a_row_in_the_table()
    {
        var folders = Directory.GetDirectories(Source).Select(d => Path.GetFileName(d)!).Where(f => f is not ("bin" or "obj"));
        folders.Should().Contain("Registry", "the test looks into the right folder");
        folders.Where(f => !Allowed.ContainsKey(f)).Should().BeEmpty("a new room needs a row in the table of this test that says which rooms it may know");
        Directory.GetFiles(Source, "*.cs").Select(Path.GetFileName).Should().BeEquivalentTo(["Program.cs"], "everything else lives in a room");
    }

    [Fact]
    public void No_room_knows_another_that_the_table_does_not_allow()
    {
        var faults = References()
            .Where(r => r.From != r.To && !(Allowed.GetValueOrDefault(r.From) ?? []).Contains(r.To))
            .Select(r => $"{r.From} knows {r.To} in {r.File}");
        faults.Should().BeEmpty("a room knows only those that its row allows");
    }

    [Fact]
    public void Files_say_the_room_that_they_are_in()
    {
        foreach (var (room, file, text) in Files())
            NamespacePattern().Match(text).Groups[1].Value.Should().Be(room, file);
    }

    [Fact]
    public void Neither_the_table_nor_the_code_has_a_circle()
    {
        Circle(Allowed.ToDictionary(r => r.Key, r => r.Value.AsEnumerable())).Should().BeEmpty();
        var code = References().Where(r => r.From != r.To).ToLookup(r => r.From, r => r.To);
        Circle(code.ToDictionary(g => g.Key, g => g.Distinct())).Should().BeEmpty();
    }

    [Fact]
    public void A_circle_would_be_found() =>
        Circle(new() { ["a"] = ["b"], ["b"] = ["c", "d"], ["c"] = ["a"], ["d"] = [] }).Should().BeEquivalentTo("a", "b", "c");

    /// <summary>The rooms that are left when those that know nobody who is left are taken away, again and again; and none of whom nobody left knows.</summary>
    private static HashSet<string> Circle(Dictionary<string, IEnumerable<string>> knows)
    {
        var left = knows.Keys.ToHashSet();
        while (left.RemoveWhere(room => !knows[room].Any(left.Contains)) > 0)
        {
        }

        while (left.RemoveWhere(room => !left.Any(other => knows[other].Contains(room))) > 0)
        {
        }

        return left;
    }

    private static List<(string From, string To, string File)> References()
    {
        var references = new List<(string From, string To, string File)>();
        foreach (var (room, file, text) in Files())
        {
            text.Should().NotContain("global using", "a reference must stand where it is used: {0}", file);
            foreach (Match match in ReferencePattern().Matches(NamespacePattern().Replace(text, "")))
                references.Add((room, match.Groups[1].Value, file));
            // The compiler lets "Storage.X" stand for "Alicia.Proxy.Storage.X". Live is left out: it is a property's name in several rooms.
            foreach (Match match in ShortReferencePattern().Matches(text).Where(m => Allowed.ContainsKey(m.Groups[1].Value)))
                references.Add((room, match.Groups[1].Value, file));
        }

        references.Should().NotBeEmpty();
        return references;
    }

    private static IEnumerable<(string Room, string File, string Text)> Files() =>
        from folder in Directory.GetDirectories(Source)
        let room = Path.GetFileName(folder)
        where room is not ("bin" or "obj")
        from file in Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories)
        select (room, Path.GetRelativePath(Source, file), File.ReadAllText(file));

    private static string SolutionFolder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Alicia.Proxy.sln")))
            folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException("The tests do not run below the solution's folder, so there is no source to look at.");
    }

    [GeneratedRegex(@"\bAlicia\.Proxy\.([A-Z][A-Za-z0-9]*)\b")]
    private static partial Regex ReferencePattern();

    [GeneratedRegex(@"(?<![\w.""])(?!Live\b)([A-Z][A-Za-z0-9]+)\.[A-Z]\w")]
    private static partial Regex ShortReferencePattern();

    [GeneratedRegex(@"^namespace Alicia\.Proxy\.([A-Z][A-Za-z0-9]*)[\w.]*;", RegexOptions.Multiline)]
    private static partial Regex NamespacePattern();
}
