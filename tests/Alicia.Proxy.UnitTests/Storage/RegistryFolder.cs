using System.Security.Cryptography;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Storage;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;

namespace Alicia.Proxy.UnitTests.Storage;

/// <summary>A temporary folder with a registry file in it, deleted with the test.</summary>
internal sealed class RegistryFolder : IDisposable
{
    public RegistryFolder() => Root = Directory.CreateTempSubdirectory("alicia-store-").FullName;

    public string Root { get; }

    public string File => Path.Combine(Root, "registry.db");

    public string Log => File + "-wal";

    public SqliteRegistryStore NewStore(string? path = null) =>
        new(path ?? File, NullLogger<SqliteRegistryStore>.Instance) { LockWaitSeconds = 1 };

    public async Task<StoredRegistry> LoadOnceAsync()
    {
        await using var store = NewStore();
        return await store.LoadAsync(default);
    }

    /// <summary>A closed file at revision 1 with these changes.</summary>
    public async Task FillAsync(params StoreChange[] changes)
    {
        await using var store = NewStore();
        await store.LoadAsync(default);
        (await store.TryCommitAsync(0, 1, changes, default)).Should().BeTrue();
    }

    public void Execute(string sql)
    {
        using var connection = Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    public object? Query(string sql)
    {
        using var connection = Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }

    public SqliteConnection Open()
    {
        var connection = new SqliteConnection($"Data Source={File};Pooling=False");
        connection.Open();
        return connection;
    }

    public static string HashOf(string path) => Convert.ToHexString(SHA256.HashData(System.IO.File.ReadAllBytes(path)));

    public void Dispose() => Directory.Delete(Root, recursive: true);
}

/// <summary>A fact that needs the folders of a Linux system.</summary>
internal sealed class FactOnLinuxAttribute : FactAttribute
{
    public FactOnLinuxAttribute()
    {
        if (!OperatingSystem.IsLinux())
            Skip = "needs Linux";
    }
}
