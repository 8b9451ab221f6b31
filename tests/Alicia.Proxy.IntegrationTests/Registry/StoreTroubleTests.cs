using System.Security.Cryptography;
using System.Text;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Registry;

/// <summary>A store that cannot be used: refused at start and left alone; while running, changes are refused and forwarding goes on.</summary>
public sealed class StoreTroubleTests
{
    [Theory]
    [InlineData("no database")]
    [InlineData("damaged")]
    [InlineData("newer")]
    [InlineData("foreign")]
    public async Task A_file_that_is_not_ours_to_use_ends_the_start_with_3_and_is_not_touched(string trouble)
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Shutdown:Grace=00:00:00"] });
        for (var i = 0; i < 40; i++)
            await proxy.Registry.RegisterAsync("s", "127.0.0.1", 1000 + i, metadata(i)).DocumentAsync(201);
        (await proxy.StopAsync()).Should().Be(0);
        var file = await File.ReadAllBytesAsync(proxy.RegistryPath);
        switch (trouble)
        {
            case "no database":
                file = Encoding.UTF8.GetBytes("these are somebody's notes");
                break;
            case "damaged":
                for (var i = 100; i < file.Length; i += 7)
                    file[i] ^= 0x55;
                break;
            case "newer":
                file[63] = 99; // user_version, big-endian, offsets 60–63 of an SQLite header
                break;
            case "foreign":
                file[71] ^= 0xff; // application_id, offsets 68–71
                break;
        }

        await File.WriteAllBytesAsync(proxy.RegistryPath, file);
        string[] before = [.. System.IO.Directory.GetFileSystemEntries(proxy.Directory).Order(StringComparer.Ordinal)];

        await ((Func<Task>)proxy.StartAgainAsync).Should().ThrowAsync<ProcessEndedException>();

        proxy.Process.ExitCode.Should().Be(3);
        proxy.Output.Should().BeEmpty();
        proxy.Process.Errors.Should().ContainSingle().Which.Should().Contain(proxy.RegistryPath);
        Hash(await File.ReadAllBytesAsync(proxy.RegistryPath)).Should().Be(Hash(file));
        System.IO.Directory.GetFileSystemEntries(proxy.Directory).Order(StringComparer.Ordinal).Should().Equal(before);

        static string metadata(int i) => $"instance-{i}-{new string('x', 90)}";
    }

    [Fact]
    public async Task A_file_that_may_not_be_written_ends_the_start_with_3_and_is_not_touched()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Shutdown:Grace=00:00:00"] });
        await proxy.Registry.RegisterAsync("s", "127.0.0.1", 1000).DocumentAsync(201);
        (await proxy.StopAsync()).Should().Be(0);
        var before = Hash(await File.ReadAllBytesAsync(proxy.RegistryPath));
        string[] run = [Programs.Dotnet, Programs.Proxy, "--Listen:Proxy=http://127.0.0.1:0", "--Listen:Management=http://127.0.0.1:0", $"--Registry:Path={proxy.RegistryPath}"];

        // Permissions do not bind root; a file system that is mounted for reading does, and the mount is the process's own.
        if (Environment.IsPrivilegedProcess)
            run = ["unshare", "--mount", "sh", "-c", "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"", proxy.Directory, .. run];
        else
            File.SetAttributes(proxy.RegistryPath, FileAttributes.ReadOnly);
        await using var process = ChildProcess.Start(run[0], run[1..], "/");
        var code = await process.WaitForExitAsync();

        code.Should().Be(3, process.Transcript);
        process.Errors.Should().ContainSingle().Which.Should().Contain(proxy.RegistryPath).And.Contain("not writable");
        Hash(await File.ReadAllBytesAsync(proxy.RegistryPath)).Should().Be(before);
        File.SetAttributes(proxy.RegistryPath, FileAttributes.Normal);
    }

    [Fact]
    public async Task While_the_file_is_away_changes_are_refused_forwarding_goes_on_and_putting_it_back_heals()
    {
        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = "{}" });
        await proxy.Registry.RegisterActiveAsync("s", backend);
        var aside = proxy.RegistryPath + ".aside";
        File.Move(proxy.RegistryPath, aside);

        // All at once, and again and again: what shares a commit with a change that is refused must not be answered as if that had been made.
        for (var round = 0; round < 20; round++)
        {
            foreach (var change in new[]
                     {
                         proxy.Registry.DeleteServiceAsync("s"),
                         proxy.Registry.DeleteInstanceAsync("s", "A"),
                         proxy.Registry.RegisterAsync("s", "127.0.0.1", 9, "new"),
                         proxy.Registry.PatchInstanceAsync("s", "A", new { state = "draining" }),
                         proxy.Registry.PutServiceAsync("t", new { }),
                     })
            {
                using var answer = await change;
                await Task.FromResult(answer).ProblemAsync(503);
                answer.Headers.RetryAfter!.Delta.Should().BePositive();
            }
        }

        var health = await proxy.Api.GetAsync("/health").DocumentAsync(200);
        health.Text("status").Should().Be("degraded");
        health.GetProperty("reasons").GetArrayLength().Should().BePositive();
        (await proxy.Api.GetAsync("/health/ready").StatusAsync()).Should().Be(200);
        (await Backend.EchoOfAsync(await proxy.Http.GetAsync("/s/echo"))).Name.Should().Be("A");
        (await proxy.Registry.RegisterAsync("s", backend).StatusAsync()).Should().Be(200, "a renewal changes nothing that must be stored");
        (await proxy.Registry.HeartbeatAsync("s", "A").StatusAsync()).Should().Be(204);
        (await proxy.Registry.InstanceAsync("s", "A")).Text("state").Should().Be("active");

        File.Move(aside, proxy.RegistryPath);
        await Eventually.Until("changes are taken again", async () => await proxy.Registry.RegisterAsync("s", "127.0.0.1", 9, "new").StatusAsync() == 201);
        (await proxy.Api.GetAsync("/health").DocumentAsync(200)).Text("status").Should().Be("healthy");
        await proxy.RestartAsync(kill: true);
        (await proxy.Registry.ServiceAsync("s")).Number("total_count").Should().Be(2);
    }

    [Fact]
    public async Task A_departure_ends_while_the_store_refuses_changes()
    {
        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await ProxyProcess.StartAsync();
        var held = new List<Task<HttpResponseMessage>>();
        for (var i = 0; i < 10; i++)
        {
            await proxy.Registry.RegisterActiveAsync("s", backend, $"a{i}");
            held.Add(proxy.Http.GetAsync("/s/hold/key"));
            await backend.UntilHeldAsync("key", i + 1);
            await proxy.Registry.DeleteInstanceAsync("s", $"a{i}").DocumentAsync(202);
        }

        File.Move(proxy.RegistryPath, proxy.RegistryPath + ".aside");
        using var enough = new CancellationTokenSource();
        var load = Enumerable.Range(0, 4).Select(async _ =>
        {
            while (!enough.IsCancellationRequested)
                (await proxy.Registry.RegisterAsync("s", "127.0.0.1", 9, "new").StatusAsync()).Should().Be(503);
        }).ToArray();
        await backend.ReleaseAsync("key");

        await proxy.Registry.UntilAsync("all have left", "/services/s", s => s.Number("total_count") == 0);
        await enough.CancelAsync();
        await Task.WhenAll(load);
        foreach (var request in held)
            (await request.StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task A_deleted_file_is_not_replaced_by_an_empty_one_until_a_restart()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Shutdown:Grace=00:00:00"] });
        await proxy.Registry.RegisterAsync("s", "127.0.0.1", 9, "a").DocumentAsync(201);
        foreach (var file in System.IO.Directory.GetFiles(proxy.Directory, "registry.db*"))
            File.Delete(file);

        for (var i = 0; i < 3; i++)
            await proxy.Registry.RegisterAsync("s", "127.0.0.1", 9, "b").ProblemAsync(503);
        (await proxy.Registry.ServiceAsync("s")).Number("total_count").Should().Be(1);

        await proxy.RestartAsync();
        await proxy.Registry.GetAsync("/services/s").ProblemAsync(404);
        await proxy.Registry.RegisterAsync("s", "127.0.0.1", 9, "b").DocumentAsync(201);
    }

    [Fact]
    public async Task A_store_that_cannot_be_created_ends_the_start_with_3()
    {
        var end = await ProxyProcess.RunAsync(
            ["--Listen:Proxy=http://127.0.0.1:0", "--Listen:Management=http://127.0.0.1:0", "--config", "test.json", "--Registry:Path=test.json/registry.db"], "{}");

        end.ExitCode.Should().Be(3);
        end.Output.Should().BeEmpty();
        end.Errors.Should().ContainSingle().Which.Should().Contain("registry.db");
    }

    private static string Hash(byte[] bytes) => Convert.ToHexString(SHA256.HashData(bytes));
}
