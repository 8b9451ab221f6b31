namespace Alicia.Proxy.Configuration;

/// <summary>
/// What a file looks like from outside, to notice that it changed without reading it. Links are followed at every level: a config map
/// swaps a link to a directory and touches neither the file's own link nor the file.
/// </summary>
/// <param name="Path">Where configuration looks for it.</param>
/// <param name="RealPath">Where it really is, or null when there is no such file.</param>
/// <param name="LastWrite">UTC.</param>
/// <param name="Length">Bytes.</param>
internal sealed record FileStamp(string Path, string? RealPath, DateTime LastWrite, long Length)
{
    // What the kernel allows too, and then it gives up.
    private const int MostLinks = 40;

    /// <summary>Never fails: a file that cannot be looked at counts as missing, and the loader says what is wrong with it.</summary>
    public static FileStamp Of(string path)
    {
        try
        {
            if (Resolve(path) is { } real && new FileInfo(real) is { Exists: true } file)
                return new FileStamp(path, real, file.LastWriteTimeUtc, file.Length);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // Between two looks a file may go, and a link may lead nowhere.
        }

        return new FileStamp(path, null, default, 0);
    }

    private static string? Resolve(string path)
    {
        var real = System.IO.Path.GetPathRoot(path)!;
        var rest = new Stack<string>(path[real.Length..].Split(System.IO.Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries).Reverse());
        for (var links = 0; rest.TryPop(out var segment);)
        {
            var next = System.IO.Path.GetFullPath(System.IO.Path.Combine(real, segment));
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                real = next;
                continue;
            }

            if (++links > MostLinks)
                return null;
            if (System.IO.Path.IsPathRooted(target))
                real = System.IO.Path.GetPathRoot(target)!;
            foreach (var part in target.Split(System.IO.Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries).Reverse())
                rest.Push(part);
        }

        return real;
    }
}
