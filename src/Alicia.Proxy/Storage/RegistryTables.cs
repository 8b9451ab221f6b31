using System.Globalization;
using Alicia.Proxy.Registry;
using Microsoft.Data.Sqlite;

namespace Alicia.Proxy.Storage;

/// <summary>
/// The tables of a registry file, schema 1: what marks a file as ours, how it is created, and how all of it is read.
/// </summary>
internal static class RegistryTables
{
    /// <summary>"AlPx": tells our files from other programs' SQLite files (bytes 68–71 of the file).</summary>
    public const int ApplicationId = 0x416C5078;

    /// <summary>Rises with every change of tables or documents that an older program would not understand.</summary>
    public const int SchemaVersion = 1;

    private static readonly string Definition = string.Create(CultureInfo.InvariantCulture, $"""
        PRAGMA application_id = {ApplicationId};
        PRAGMA user_version = {SchemaVersion};
        CREATE TABLE registry (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            revision INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE services (
            name TEXT NOT NULL PRIMARY KEY,
            revision INTEGER NOT NULL,
            settings TEXT NOT NULL,
            routes TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE instances (
            service TEXT NOT NULL,
            instance_id TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            document TEXT NOT NULL,
            PRIMARY KEY (service, instance_id)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO registry (id, revision) VALUES (1, 0);
        """);

    /// <summary>Makes the tables in an empty database, at revision 0.</summary>
    public static void Create(SqliteConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = $"BEGIN IMMEDIATE; {Definition} COMMIT;";
        command.ExecuteNonQuery();
    }

    /// <summary>Reads everything as of one moment, whatever other connections commit meanwhile.</summary>
    /// <exception cref="FormatException">A row that this program did not write; the message names it.</exception>
    public static StoredRegistry Read(SqliteConnection connection)
    {
        using var transaction = connection.BeginTransaction(deferred: true);
        var revision = ReadRows(connection, "SELECT revision FROM registry", row => row.GetInt64(0));
        if (revision is not [>= 0])
            throw new FormatException("table registry: one row with a revision is expected");

        var services = ReadRows(connection, "SELECT name, revision, settings, routes FROM services", row =>
        {
            var name = row.GetString(0);
            try
            {
                return new StoredService(
                    name,
                    row.GetInt64(1),
                    StoredDocuments.ReadSettings(row.GetString(2)),
                    StoredDocuments.ReadRoutes(row.GetString(3)));
            }
            catch (FormatException e)
            {
                throw new FormatException($"service \"{name}\": {e.Message}", e);
            }
        });

        // In order of registration: epochs only rise.
        var instances = ReadRows(connection, "SELECT service, instance_id, epoch, document FROM instances ORDER BY epoch", row =>
        {
            var (service, id) = (row.GetString(0), row.GetString(1));
            try
            {
                return StoredInstanceDocument.Read(service, id, row.GetInt64(2), row.GetString(3));
            }
            catch (FormatException e)
            {
                throw new FormatException($"instance \"{id}\" of service \"{service}\": {e.Message}", e);
            }
        });
        return new StoredRegistry(revision[0], services, instances);
    }

    /// <summary>The one value that a query or pragma answers.</summary>
    public static T Scalar<T>(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return (T)command.ExecuteScalar()!;
    }

    private static List<T> ReadRows<T>(SqliteConnection connection, string sql, Func<SqliteDataReader, T> read)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        using var reader = command.ExecuteReader();
        var rows = new List<T>();
        while (reader.Read())
            rows.Add(read(reader));
        return rows;
    }
}
