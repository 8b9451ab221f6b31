using System.Globalization;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>
/// A file system of two megabytes, in a mount namespace that lives as long as this: only what <see cref="Wrapper"/> starts sees it as a directory, and it outlives that. Only root may do so.
/// </summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private const string Ready = "mounted";

    private readonly string _directory;
    private readonly ChildProcess _holder;

    private SmallDisk(string directory, ChildProcess holder) => (_directory, _holder) = (directory, holder);

    /// <summary>For <see cref="ProxyOptions.Wrapper"/>.</summary>
    public IReadOnlyList<string> Wrapper => ["nsenter", "--mount", "--target", _holder.Id.ToString(CultureInfo.InvariantCulture)];

    /// <summary>The same files, seen from here.</summary>
    private string Filling => $"/proc/{_holder.Id}/root{_directory}/filling";

    public static async Task<SmallDisk> StartAsync()
    {
        var directory = Directory.CreateTempSubdirectory("alicia-disk-").FullName;
        var holder = ChildProcess.Start(
            "unshare", ["--mount", "sh", "-c", $"mount -t tmpfs -o size=2m tmpfs \"$0\" && echo {Ready} && exec cat", directory]);
        await holder.WaitForLineAsync(line => line == Ready);
        return new SmallDisk(directory, holder);
    }

    public string PathOf(string file) => Path.Combine(_directory, file);

    /// <summary>Takes all the room that there is.</summary>
    public void Fill()
    {
        var page = new byte[4096];
        using var file = new FileStream(Filling, FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);
        try
        {
            // Twice the size of the disk is more than enough.
            for (var i = 0; i < 1024; i++)
                file.Write(page);
        }
        catch (IOException)
        {
            return;
        }

        throw new InvalidOperationException("the disk does not fill up");
    }

    public void Free() => File.Delete(Filling);

    public async ValueTask DisposeAsync()
    {
        await _holder.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}

/// <summary>A fact that needs a file system of its own; skipped, and counted as such, where the test may not mount one.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SmallDiskFactAttribute : FactAttribute
{
    public SmallDiskFactAttribute() => Skip = Environment.IsPrivilegedProcess ? null : "only root may mount a file system";
}
