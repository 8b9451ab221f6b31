using Alicia.Proxy.Registry;
using Microsoft.Data.Sqlite;

namespace Alicia.Proxy.Storage;

/// <summary>
/// The registry in one SQLite file: the default store. Opens it once (after <see cref="SqliteRegistryFile"/> has checked it), keeps the connection,
/// and commits one transaction at a time. A commit is on the disk when its task completes.
/// </summary>
internal sealed partial class SqliteRegistryStore : IRegistryStore
{
    private readonly string _path;
    private readonly ILogger<SqliteRegistryStore> _logger;
    private readonly StoreThread _thread = new("registry store");

    // Touched on the store's thread only. Null before the first load, and after a failure that makes the connection worthless.
    private RegistryConnection? _connection;
    private bool _wasLoaded;
    private int _disposed;

    /// <summary>Names the file; <see cref="LoadAsync"/> opens it, and creates it and its folder if they are missing.</summary>
    public SqliteRegistryStore(string path, ILogger<SqliteRegistryStore> logger)
    {
        _path = SqliteRegistryFile.Locate(path);
        _logger = logger;
    }

    /// <inheritdoc/>
    public string Name => "sqlite";

    /// <summary>How long a load or a commit waits for another process that has the file locked, in seconds, at least 1.</summary>
    public int LockWaitSeconds { get; init; } = 5;

    /// <inheritdoc/>
    public Task<StoredRegistry> LoadAsync(CancellationToken cancellation)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        return _thread.RunAsync(Load, cancellation);
    }

    /// <inheritdoc/>
    public Task<bool> TryCommitAsync(long expectedRevision, long newRevision, IReadOnlyList<StoreChange> changes, CancellationToken cancellation)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        StoreCommit.Check(expectedRevision, newRevision, changes);
        return _thread.RunAsync(() => TryCommit(expectedRevision, newRevision, changes), cancellation);
    }

    /// <summary>Finishes what is queued, then brings the log into the file and closes it.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        var closed = _thread.RunAsync(
            () =>
            {
                Disconnect();
                return true;
            },
            CancellationToken.None);
        _thread.Dispose();
        await closed;
        LogClosed(_path);
    }

    private StoredRegistry Load()
    {
        if (CurrentConnection() is not { } connection)
            return Connect();
        try
        {
            return connection.Read();
        }
        catch (SqliteException e)
        {
            Disconnect();
            throw SqliteFaults.Explain(_path, "cannot be read", e);
        }
        catch (Exception e) when (e is FormatException or InvalidCastException)
        {
            Disconnect();
            throw SqliteRegistryFile.Unreadable(_path, e);
        }
    }

    private bool TryCommit(long expectedRevision, long newRevision, IReadOnlyList<StoreChange> changes)
    {
        if (!_wasLoaded)
            throw new InvalidOperationException("The store is loaded before anything is committed.");
        var connection = CurrentConnection();
        if (connection is null)
        {
            Connect();
            connection = _connection!;
        }

        try
        {
            return connection.TryCommit(expectedRevision, newRevision, changes);
        }
        catch (SqliteException e)
        {
            if (!SqliteFaults.LeavesConnectionUsable(e) || !connection.TryRollBack())
                Disconnect();
            throw SqliteFaults.Explain(_path, "cannot be written", e);
        }
        catch
        {
            Disconnect();
            throw;
        }
    }

    /// <summary>The open connection if it still leads to the file at our path, or null when there is none.</summary>
    /// <exception cref="RegistryStoreException">The file was taken away. The next call looks for it again.</exception>
    private RegistryConnection? CurrentConnection()
    {
        if (_connection is not { } connection)
            return null;
        if (connection.HasMoved)
        {
            Disconnect();
            throw new RegistryStoreException(
                $"Registry file \"{_path}\" was deleted or replaced while it was in use. Put it back; " +
                "if it is lost, restart the proxy to begin with an empty registry.");
        }

        if (connection.LogIsGone)
        {
            LogLogIsGone(_path);
            Disconnect();
        }

        return _connection;
    }

    private StoredRegistry Connect()
    {
        // A file that goes missing later on is a fault; to replace it with an empty one would drop every registration in silence.
        var created = !_wasLoaded && SqliteRegistryFile.CreateIfMissing(_path);
        var registry = SqliteRegistryFile.Check(_path, LockWaitSeconds);
        _connection = RegistryConnection.Open(_path, LockWaitSeconds);
        _wasLoaded = true;
        if (created)
            LogCreated(_path);
        LogOpened(_path, registry.Revision, registry.Services.Count, registry.Instances.Count);
        return registry;
    }

    private void Disconnect()
    {
        _connection?.Dispose();
        _connection = null;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Created registry file {Path}")]
    private partial void LogCreated(string path);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Opened registry file {Path} at revision {Revision}: {Services} services, {Instances} instances")]
    private partial void LogOpened(string path, long revision, int services, int instances);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The log of registry file {Path} was deleted while in use; opening the file again")]
    private partial void LogLogIsGone(string path);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Closed registry file {Path}")]
    private partial void LogClosed(string path);
}
