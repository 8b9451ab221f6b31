using System.Globalization;
using Alicia.Proxy.Registry;
using Microsoft.Data.Sqlite;
using static SQLitePCL.raw;

namespace Alicia.Proxy.Storage;

/// <summary>
/// What happens to a registry file before the store opens it for writing: a missing one is created, and one that is there is checked with
/// read-only means, so that a file which is refused (damaged, foreign, newer) keeps every byte for whoever repairs it.
/// </summary>
internal static class SqliteRegistryFile
{
    private const int Known = RegistryTables.SchemaVersion;
    private const string Untouched = "The file was left untouched.";
    private const string WayOut = "restore it from a backup, or move it away to start with an empty registry";

    /// <summary>The absolute path, with links followed: SQLite keeps its -wal beside the link's target.</summary>
    public static string Locate(string path)
    {
        var file = new FileInfo(path);
        return file.LinkTarget is null ? file.FullName : file.ResolveLinkTarget(returnFinalTarget: true)!.FullName;
    }

    /// <summary>Creates the file (and its folder) at revision 0 if there is none, or only an empty one.</summary>
    /// <returns>True when this call created it.</returns>
    /// <exception cref="RegistryStoreException">It cannot be created; nothing was changed.</exception>
    public static bool CreateIfMissing(string path)
    {
        try
        {
            if (Directory.Exists(path))
                throw new RegistryStoreException($"Registry file \"{path}\" is a folder. Name a file in Registry:Path.");
            var file = new FileInfo(path);
            if (file.Exists && file.Length > 0)
                return false;

            // SQLite would apply an orphaned log to the new file, or delete it; either way commits would be lost or mixed up.
            if (File.Exists(path + "-wal") && new FileInfo(path + "-wal").Length > 0)
            {
                throw new RegistryStoreException(
                    $"Registry file \"{path}\" is missing or empty, but its log \"{path}-wal\" is there. " +
                    "Put the file back, or delete the log to start with an empty registry.");
            }

            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            if (file.Exists)
                RequirePlainWritableFile(path);
            return Create(path, overEmpty: file.Exists);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new RegistryStoreException(
                $"Registry file \"{path}\" cannot be created: {e.Message.TrimEnd('.')}. " +
                "Give this user the right to write there, or set Registry:Path to another file.",
                e);
        }
        catch (SqliteException e)
        {
            throw SqliteFaults.Explain(path, "cannot be created", e);
        }
    }

    /// <summary>Checks a file without changing it, and reads all of it. Its log (-wal), if a crash left one, counts as part of it.</summary>
    /// <exception cref="RegistryStoreException">This program must not write to the file.</exception>
    public static StoredRegistry Check(string path, int lockWaitSeconds)
    {
        try
        {
            CheckHeader(path);
            using var connection = Connect(ReadOnlySource(path), SqliteOpenMode.ReadOnly, lockWaitSeconds);
            CheckMarks(path, connection);

            var verdict = RegistryTables.Scalar<string>(connection, "PRAGMA quick_check(1)");
            if (verdict != "ok")
                throw Damaged(path, verdict.ReplaceLineEndings(" "));
            return RegistryTables.Read(connection);
        }
        catch (SqliteException e)
        {
            throw SqliteFaults.Explain(path, "cannot be read", e);
        }
        catch (Exception e) when (e is FormatException or InvalidCastException)
        {
            throw Unreadable(path, e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RegistryStoreException($"Registry file \"{path}\" cannot be read: {e.Message}", e);
        }
    }

    public static RegistryStoreException Unreadable(string path, Exception fault) =>
        new(
            $"Registry file \"{path}\" has a row that cannot be read: {fault.Message}. " +
            $"Run the version that wrote it, or {WayOut}. {Untouched}",
            fault);

    /// <summary>Opens a connection that waits up to <paramref name="lockWaitSeconds"/> (at least 1) for other processes' locks.</summary>
    public static SqliteConnection Connect(string path, SqliteOpenMode mode, int lockWaitSeconds)
    {
        var settings = new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = mode,
            Pooling = false,
            // The library's own retry loop round SQLite's busy timeout: it stops at the same limit.
            DefaultTimeout = lockWaitSeconds,
        };
        var connection = new SqliteConnection(settings.ToString());
        try
        {
            connection.Open();
            sqlite3_busy_timeout(connection.Handle, lockWaitSeconds * 1000);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Builds the file under another name and moves it into place, so that a crash leaves either no registry or a whole one. The folder's entry
    /// becomes durable with the first commit: SQLite syncs the folder when it has created the -wal.
    /// </summary>
    private static bool Create(string path, bool overEmpty)
    {
        var draft = $"{path}.{Guid.NewGuid():N}.new";
        try
        {
            using (var connection = Connect(draft, SqliteOpenMode.ReadWriteCreate, lockWaitSeconds: 1))
            {
                RegistryTables.Scalar<string>(connection, "PRAGMA journal_mode = WAL");
                RegistryTables.Create(connection);
            }

            try
            {
                File.Move(draft, path, overwrite: overEmpty);
                return true;
            }
            catch (IOException) when (!overEmpty && File.Exists(path))
            {
                // Another process was first; its file is as good as ours and is checked like any other.
                return false;
            }
        }
        finally
        {
            foreach (var leftover in (ReadOnlySpan<string>)[draft, draft + "-journal", draft + "-wal", draft + "-shm"])
                File.Delete(leftover);
        }
    }

    /// <summary>An empty "file" may be a device or a pipe, which must not be replaced by a registry: those cannot be cut to a length.</summary>
    private static void RequirePlainWritableFile(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        if (!stream.CanSeek)
            throw new IOException("It is not a plain file.");
        stream.SetLength(0);
    }

    /// <summary>
    /// A file without a log is read as one that nobody writes to, so that a refused file does not get an empty -wal and -shm beside it. A proxy that
    /// has the file open always has a log. One that starts in this very moment could only make the check fail, or a commit lose its revision.
    /// </summary>
    private static string ReadOnlySource(string path)
    {
        if (File.Exists(path + "-wal"))
            return path;
        // Not Uri: it takes a "%20" in a name for an escape.
        var segments = path.Split(Path.DirectorySeparatorChar).Select(Uri.EscapeDataString);
        return $"file:///{string.Join('/', segments).TrimStart('/')}?immutable=1";
    }

    private static void CheckHeader(string path)
    {
        // Closing a file drops all POSIX locks that the process holds on it, SQLite's too: this runs only while the store has no connection.
        Span<byte> header = stackalloc byte[16];
        using (var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0))
            header = header[..stream.ReadAtLeast(header, header.Length, throwOnEndOfStream: false)];
        if (!header.SequenceEqual("SQLite format 3\0"u8))
        {
            throw new RegistryStoreException(
                $"Registry file \"{path}\" is not an SQLite database: {WayOut}, or set Registry:Path to another file. {Untouched}");
        }
    }

    private static void CheckMarks(string path, SqliteConnection connection)
    {
        var applicationId = RegistryTables.Scalar<long>(connection, "PRAGMA application_id");
        if (applicationId != RegistryTables.ApplicationId)
        {
            throw new RegistryStoreException(
                $"Registry file \"{path}\" is the database of another program. Set Registry:Path to another file. {Untouched}");
        }

        var version = RegistryTables.Scalar<long>(connection, "PRAGMA user_version");
        if (version > Known)
        {
            throw new RegistryStoreException(string.Create(
                CultureInfo.InvariantCulture,
                $"Registry file \"{path}\" was written by a newer version (schema {version}, this program knows {Known}). ") +
                $"Run that version, or set Registry:Path to another file. {Untouched}");
        }

        if (version != Known)
            throw Damaged(path, string.Create(CultureInfo.InvariantCulture, $"schema {version} does not exist"));
    }

    private static RegistryStoreException Damaged(string path, string how) =>
        new($"Registry file \"{path}\" is damaged ({how}): {WayOut}. {Untouched}");
}
