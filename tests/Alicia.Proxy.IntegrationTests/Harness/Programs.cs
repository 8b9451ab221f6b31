namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>Where the programs under test were built, in the configuration of this test assembly.</summary>
internal static class Programs
{
    private static readonly DirectoryInfo _output = new(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));

    public static string Dotnet { get; } = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") is { Length: > 0 } path ? path : "dotnet";

    /// <summary>The checkout's top directory.</summary>
    public static string Root { get; } = Path.GetFullPath("../../../../..", _output.FullName);

    public static string Proxy { get; } = Find("src", "Alicia.Proxy");

    public static string Backend { get; } = Find("tests", "Alicia.Proxy.Backend");

    private static string Find(string area, string project) =>
        Path.Combine(Root, area, project, "bin", _output.Parent!.Name, _output.Name, project + ".dll");
}
