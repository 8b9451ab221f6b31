using System.Runtime.InteropServices;
using Alicia.Proxy.Registry;
using Microsoft.Data.Sqlite;
using static SQLitePCL.raw;

namespace Alicia.Proxy.Storage;

/// <summary>
/// The open, checked registry file with its prepared statements: one transaction per commit. Used by one thread at a time.
/// </summary>
internal sealed class RegistryConnection : IDisposable
{
    // SQLITE_FCNTL_HAS_MOVED of sqlite3.h.
    private const int FileControlHasMoved = 20;

    private readonly SqliteConnection _connection;
    private readonly string _logPath;
    private readonly List<SqliteCommand> _statements = [];
    private readonly SqliteCommand _begin;
    private readonly SqliteCommand _commit;
    private readonly SqliteCommand _rollBack;
    private readonly SqliteCommand _readRevision;
    private readonly SqliteCommand _writeRevision;
    private readonly SqliteCommand _putService;
    private readonly SqliteCommand _deleteService;
    private readonly SqliteCommand _deleteInstancesOfService;
    private readonly SqliteCommand _putInstance;
    private readonly SqliteCommand _deleteInstance;

    private RegistryConnection(SqliteConnection connection, string path)
    {
        _connection = connection;
        _logPath = path + "-wal";
        _begin = Prepare("BEGIN IMMEDIATE");
        _commit = Prepare("COMMIT");
        _rollBack = Prepare("ROLLBACK");
        _readRevision = Prepare("SELECT revision FROM registry");
        _writeRevision = Prepare("UPDATE registry SET revision = $revision", "$revision");
        _putService = Prepare(
            "INSERT INTO services (name, revision, settings, routes) VALUES ($name, $revision, $settings, $routes) " +
            "ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, settings = excluded.settings, routes = excluded.routes",
            "$name", "$revision", "$settings", "$routes");
        _deleteService = Prepare("DELETE FROM services WHERE name = $name", "$name");
        _deleteInstancesOfService = Prepare("DELETE FROM instances WHERE service = $name", "$name");
        _putInstance = Prepare(
            "INSERT INTO instances (service, instance_id, epoch, document) VALUES ($service, $id, $epoch, $document) " +
            "ON CONFLICT (service, instance_id) DO UPDATE SET epoch = excluded.epoch, document = excluded.document",
            "$service", "$id", "$epoch", "$document");
        _deleteInstance = Prepare("DELETE FROM instances WHERE service = $service AND instance_id = $id", "$service", "$id");
    }

    /// <summary>
    /// True when the file was deleted, or another one put in its place: SQLite would go on writing into a file that nobody will open again.
    /// Windows does not let that happen to an open file, and SQLite does not answer there.
    /// </summary>
    public bool HasMoved
    {
        get
        {
            var moved = 0;
            return FileControl(_connection.Handle!, "main", FileControlHasMoved, ref moved) == SQLITE_OK && moved != 0;
        }
    }

    /// <summary>True when the log was deleted. What is committed is safe (closing brings it into the file), what would come next is not.</summary>
    public bool LogIsGone => !File.Exists(_logPath);

    /// <summary>Opens for writing. The file must have been checked.</summary>
    /// <exception cref="RegistryStoreException">It cannot be written.</exception>
    public static RegistryConnection Open(string path, int lockWaitSeconds)
    {
        SqliteConnection? connection = null;
        try
        {
            connection = SqliteRegistryFile.Connect(path, SqliteOpenMode.ReadWrite, lockWaitSeconds);
            // SQLite opens a file that it may not write for reading, without a word.
            if (sqlite3_db_readonly(connection.Handle, "main") != 0)
            {
                throw new RegistryStoreException(
                    $"Registry file \"{path}\" is not writable. Give this user the right to write the file and its folder.");
            }

            var mode = RegistryTables.Scalar<string>(connection, "PRAGMA journal_mode = WAL");
            if (mode != "wal")
            {
                throw new RegistryStoreException(
                    $"Registry file \"{path}\" cannot have a write-ahead log (mode is {mode}). Put it on a local disk.");
            }

            using (var command = connection.CreateCommand())
            {
                // FULL: the log is on the disk before a commit returns. fullfsync: macOS needs it for the same promise, others ignore it.
                command.CommandText = "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;";
                command.ExecuteNonQuery();
            }

            var opened = new RegistryConnection(connection, path);
            // The first read is what creates the log; from here on it must be there.
            opened._readRevision.ExecuteScalar();
            return opened;
        }
        catch (Exception e)
        {
            connection?.Dispose();
            if (e is SqliteException fault)
                throw SqliteFaults.Explain(path, "cannot be opened for writing", fault);
            throw;
        }
    }

    public StoredRegistry Read() => RegistryTables.Read(_connection);

    /// <summary>One transaction. When it throws, the transaction may still be open: <see cref="TryRollBack"/> or dispose.</summary>
    /// <returns>False when the file is at another revision than <paramref name="expectedRevision"/>; nothing was written.</returns>
    public bool TryCommit(long expectedRevision, long newRevision, IReadOnlyList<StoreChange> changes)
    {
        _begin.ExecuteNonQuery();
        if (_readRevision.ExecuteScalar() is not long revision || revision != expectedRevision)
        {
            _rollBack.ExecuteNonQuery();
            return false;
        }

        foreach (var change in changes)
            Apply(change);
        Execute(_writeRevision, newRevision);
        _commit.ExecuteNonQuery();
        return true;
    }

    /// <summary>True when no transaction is open any more, so that the connection can be used again.</summary>
    public bool TryRollBack()
    {
        // Some faults make SQLite roll back by itself.
        if (sqlite3_get_autocommit(_connection.Handle) == 0)
        {
            try
            {
                _rollBack.ExecuteNonQuery();
            }
            catch (SqliteException)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Closes. The last connection to a file brings the log into it and deletes the log.</summary>
    public void Dispose()
    {
        foreach (var statement in _statements)
            statement.Dispose();
        _connection.Dispose();
    }

    private void Apply(StoreChange change)
    {
        switch (change)
        {
            case StoreChange.PutService { Service: var service }:
                Execute(
                    _putService,
                    service.Name,
                    service.Revision,
                    StoredDocuments.WriteSettings(service.Settings),
                    StoredDocuments.WriteRoutes(service.Routes));
                break;
            case StoreChange.DeleteService { Name: var name }:
                Execute(_deleteInstancesOfService, name);
                Execute(_deleteService, name);
                break;
            case StoreChange.PutInstance { Instance: var instance }:
                Execute(_putInstance, instance.ServiceName, instance.InstanceId, instance.Epoch, StoredInstanceDocument.Write(instance));
                break;
            case StoreChange.DeleteInstance { ServiceName: var service, InstanceId: var id }:
                Execute(_deleteInstance, service, id);
                break;
            default:
                throw new ArgumentException($"{change.GetType().Name} is not a change that this store knows", nameof(change));
        }
    }

    private SqliteCommand Prepare(string sql, params ReadOnlySpan<string> parameters)
    {
        var command = _connection.CreateCommand();
        _statements.Add(command);
        command.CommandText = sql;
        foreach (var name in parameters)
            command.Parameters.Add(new SqliteParameter(name, null));
        command.Prepare();
        return command;
    }

    private static void Execute(SqliteCommand command, params ReadOnlySpan<object> values)
    {
        for (var i = 0; i < values.Length; i++)
            command.Parameters[i].Value = values[i];
        command.ExecuteNonQuery();
    }

    // The SQLite package has no binding for this call; the native library is the one that it brings and has loaded.
    [DllImport("e_sqlite3", EntryPoint = "sqlite3_file_control", CallingConvention = CallingConvention.Cdecl)]
    private static extern int FileControl(SafeHandle database, [MarshalAs(UnmanagedType.LPUTF8Str)] string schema, int operation, ref int result);
}
