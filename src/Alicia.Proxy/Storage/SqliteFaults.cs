using System.Globalization;
using Alicia.Proxy.Registry;
using Microsoft.Data.Sqlite;
using static SQLitePCL.raw;

namespace Alicia.Proxy.Storage;

/// <summary>SQLite's error codes in words for an operator: what is wrong and what to do.</summary>
internal static class SqliteFaults
{
    public static RegistryStoreException Explain(string path, string what, SqliteException fault) => new(
        string.Create(
            CultureInfo.InvariantCulture,
            $"Registry file \"{path}\" {what}: {Cause(fault)} (SQLite error {fault.SqliteExtendedErrorCode})."),
        fault);

    /// <summary>True when the fault says nothing about the connection: it can be used again once the transaction is rolled back.</summary>
    public static bool LeavesConnectionUsable(SqliteException fault) => fault.SqliteErrorCode is SQLITE_BUSY or SQLITE_FULL or SQLITE_CONSTRAINT;

    private static string Cause(SqliteException fault) => fault.SqliteErrorCode switch
    {
        SQLITE_BUSY or SQLITE_LOCKED => "another process keeps it locked; only one proxy may use the file",
        SQLITE_FULL => "the disk is full; free some space",
        SQLITE_READONLY or SQLITE_PERM => "it is not writable; give this user the right to write the file and its folder",
        SQLITE_CANTOPEN => "it, its -wal or its -shm file cannot be opened; give this user the right to write the file and its folder",
        SQLITE_IOERR => "the disk reported an error; check the disk and its free space",
        SQLITE_CORRUPT or SQLITE_NOTADB => "it is damaged; restore it from a backup, or move it away to start with an empty registry",
        _ => fault.Message,
    };
}
