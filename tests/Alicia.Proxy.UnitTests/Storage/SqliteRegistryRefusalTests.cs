using Alicia.Proxy.Registry;
using Alicia.Proxy.Storage;
using static Alicia.Proxy.UnitTests.Storage.StoredSamples;

namespace Alicia.Proxy.UnitTests.Storage;

/// <summary>Files that must not be written to: each is refused in words that name it, and keeps every byte.</summary>
public sealed class SqliteRegistryRefusalTests : IDisposable
{
    private readonly RegistryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_file_that_is_no_database()
    {
        await File.WriteAllTextAsync(_folder.File, "these are not the bytes you are looking for");

        await ShouldBeRefused("*is not an SQLite database*move it away*left untouched*");
    }

    [Fact]
    public async Task A_file_shorter_than_the_header()
    {
        await File.WriteAllTextAsync(_folder.File, "SQL");

        await ShouldBeRefused("*is not an SQLite database*");
    }

    [Fact]
    public async Task A_database_header_with_rubbish_behind_it()
    {
        var bytes = new byte[8192];
        new Random(1).NextBytes(bytes);
        "SQLite format 3\0"u8.CopyTo(bytes);
        await File.WriteAllBytesAsync(_folder.File, bytes);

        await ShouldBeRefused("*is damaged*");
    }

    [Theory]
    [InlineData(0.9)]
    [InlineData(0.5)]
    [InlineData(0.1)]
    public async Task A_truncated_file(double share)
    {
        await FillWithManyAsync();
        using (var file = File.Open(_folder.File, FileMode.Open))
            file.SetLength((long)(file.Length * share));

        await ShouldBeRefused("*is damaged*");
    }

    [Fact]
    public async Task A_file_with_one_broken_page_whichever_it_is()
    {
        const int PageSize = 4096;
        await FillWithManyAsync();
        var whole = await File.ReadAllBytesAsync(_folder.File);
        (whole.Length / PageSize).Should().BeGreaterThan(20);

        for (var page = 1; page < whole.Length / PageSize; page++)
        {
            var bytes = (byte[])whole.Clone();
            for (var i = page * PageSize; i < (page + 1) * PageSize; i++)
                bytes[i] ^= 0xFF;
            await File.WriteAllBytesAsync(_folder.File, bytes);

            await ShouldBeRefused("*is damaged*");
        }
    }

    [Fact]
    public async Task A_file_of_a_newer_schema()
    {
        await _folder.FillAsync(Put(Plain("tts", "a")));
        _folder.Execute("PRAGMA user_version = 2");

        await ShouldBeRefused("*written by a newer version (schema 2, this program knows 1)*Run that version*left untouched*");
    }

    [Fact]
    public async Task A_file_of_a_newer_schema_whose_commits_are_still_in_the_log()
    {
        using var crashed = new RegistryFolder();
        await _folder.FillAsync(Put(Plain("tts", "a")));
        using (var connection = _folder.Open())
        {
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA user_version = 2; CREATE TABLE later (x TEXT) STRICT";
            command.ExecuteNonQuery();
            File.Copy(_folder.File, crashed.File);
            File.Copy(_folder.Log, crashed.Log);
        }

        var log = RegistryFolder.HashOf(crashed.Log);
        await ShouldBeRefused("*schema 2*", crashed);
        RegistryFolder.HashOf(crashed.Log).Should().Be(log);
    }

    [Fact]
    public async Task A_file_with_our_mark_and_no_schema()
    {
        _folder.Execute($"CREATE TABLE t (x); PRAGMA application_id = {RegistryTables.ApplicationId}");

        await ShouldBeRefused("*is damaged (schema 0 does not exist)*");
    }

    [Theory]
    [InlineData("delete")]
    [InlineData("wal")]
    public async Task Another_programs_database(string journalMode)
    {
        _folder.Execute($"PRAGMA journal_mode = {journalMode}");
        _folder.Execute("CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = 1");

        await ShouldBeRefused("*database of another program*Registry:Path*");
    }

    [Theory]
    [InlineData("UPDATE instances SET document = '{\"host\":'", "*instance \"a\" of service \"tts\"*not valid JSON*")]
    [InlineData("UPDATE services SET settings = '{\"retry.jitter\":1}'", "*service \"tts\"*\"retry.jitter\"*newer version*")]
    [InlineData("UPDATE services SET routes = '{}'", "*service \"tts\"*array*")]
    [InlineData("DELETE FROM registry", "*table registry*")]
    [InlineData("DROP TABLE instances", "*no such table: instances*")]
    public async Task A_file_with_a_row_that_this_version_did_not_write(string sql, string message)
    {
        await _folder.FillAsync(Put(Service("tts")), Put(Plain("tts", "a")));
        _folder.Execute(sql);

        await ShouldBeRefused(message);
    }

    [Fact]
    public async Task A_folder()
    {
        Directory.CreateDirectory(_folder.File);

        await ShouldNotLoad(_folder.File, "*is a folder*");
    }

    [Fact]
    public async Task A_path_below_a_file()
    {
        await File.WriteAllTextAsync(_folder.File, "x");

        await ShouldNotLoad(Path.Combine(_folder.File, "data", "registry.db"), "*cannot be created*");
        (await File.ReadAllTextAsync(_folder.File)).Should().Be("x");
    }

    [FactOnLinux]
    public Task A_folder_where_nobody_may_create_files() =>
        ShouldNotLoad("/proc/self/fdinfo/registry.db", "*cannot be created*right to write*");

    [Fact]
    public async Task A_missing_file_whose_log_is_there()
    {
        await File.WriteAllTextAsync(_folder.Log, "the commits of a file that somebody took away");

        await ShouldNotLoad(_folder.File, "*is missing or empty*log*Put the file back, or delete the log*");
        File.Exists(_folder.File).Should().BeFalse();
        File.Exists(_folder.Log).Should().BeTrue();
    }

    private async Task FillWithManyAsync() =>
        await _folder.FillAsync([.. Enumerable.Range(1, 200).Select(i => Put(Full("tts", $"i{i}", i)))]);

    private async Task ShouldBeRefused(string message, RegistryFolder? folder = null)
    {
        folder ??= _folder;
        var before = RegistryFolder.HashOf(folder.File);
        var hadLog = File.Exists(folder.Log);
        await ShouldNotLoad(folder.File, message);
        RegistryFolder.HashOf(folder.File).Should().Be(before);
        if (!hadLog)
            Directory.GetFileSystemEntries(folder.Root).Should().Equal(folder.File);
    }

    private async Task ShouldNotLoad(string path, string message)
    {
        await using var store = _folder.NewStore(path);
        var fault = await store.Invoking(s => s.LoadAsync(default)).Should().ThrowAsync<RegistryStoreException>().WithMessage(message);
        fault.Which.Message.Should().Contain($"\"{path}\"");
    }
}
