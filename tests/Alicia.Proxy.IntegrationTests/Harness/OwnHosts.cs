using System.Runtime.InteropServices;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>
/// A file of names that one process sees in place of <c>/etc/hosts</c>, by a mount of its own. The system's resolver reads it at every look-up, so a test changes
/// names as it goes. Only root may do so.
/// </summary>
internal sealed class OwnHosts : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("alicia-hosts-").FullName;

    public OwnHosts(params string[] lines) => Write(lines);

    /// <summary>For <see cref="ProxyOptions.Wrapper"/>.</summary>
    public IReadOnlyList<string> Wrapper => ["unshare", "--mount", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\"", Path];

    private string Path => System.IO.Path.Combine(_directory, "hosts");

    public static string? SkipReason => geteuid() == 0 ? null : "only root may give a process a hosts file of its own";

    /// <summary>Replaces the names. In place: the mount holds on to the file, not to its name.</summary>
    public void Write(params string[] lines) => File.WriteAllLines(Path, lines);

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern uint geteuid();
}

/// <summary>A fact whose proxy sees names of the test's own; skipped, and counted as such, where the test may not do that.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NeedsOwnHostsFactAttribute : FactAttribute
{
    public NeedsOwnHostsFactAttribute(params string[] packages) => Skip = OwnHosts.SkipReason ?? MissingPackages.SkipReason(packages);
}
