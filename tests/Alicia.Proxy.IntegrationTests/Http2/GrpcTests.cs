using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Http2;

/// <summary>One proxy and one gRPC server, for calls that leave both as they were.</summary>
public sealed class GrpcPeers : IAsyncLifetime
{
    internal ProxyProcess Proxy { get; private set; } = null!;

    internal PythonPeer Server { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        if (MissingPackages.SkipReason(["python3-grpcio"]) is not null)
            return;
        Server = await PythonPeer.ServeAsync("grpc_server.py");
        Proxy = await ProxyProcess.StartAsync(new ProxyOptions { Listen = "http://127.0.0.1:0;h2c://127.0.0.1:0" });
        await RegisterAsync("echo", Server, "one");
    }

    public async Task DisposeAsync()
    {
        if (Proxy is not null)
            await Proxy.DisposeAsync();
        if (Server is not null)
            await Server.DisposeAsync();
    }

    internal async Task RegisterAsync(string service, PythonPeer server, string id, object? more = null)
    {
        var fields = JsonSerializer.SerializeToNode(more ?? new { })!.AsObject();
        fields["protocol"] = "h2c";
        fields["health_check"] = new System.Text.Json.Nodes.JsonObject { ["type"] = "tcp" };
        using var answer = await Proxy.Registry.RegisterAsync(service, "127.0.0.1", server.Port, id, fields, "wait=10");
        (await RegistryApi.DocumentOfAsync(answer)).GetProperty("state").GetString().Should().Be("active");
    }

    /// <summary>Arguments of the client for a call to <paramref name="service"/>.</summary>
    internal string[] Call(string service, string scenario, string argument = "") =>
        [Proxy.Listeners.First(l => l.Scheme == "h2c").Authority, service + ".alicia.local", scenario, argument];

    internal Task<JsonElement> RunAsync(string scenario, string argument = "", string service = "echo") =>
        PythonPeer.RunAsync("grpc_client.py", Call(service, scenario, argument));
}

/// <summary>gRPC of another implementation goes through: every kind of call, whole and in order, with its status, metadata and end.</summary>
public sealed class GrpcTests(GrpcPeers peers) : IClassFixture<GrpcPeers>
{
    [NeedsPackageFact("python3-grpcio")]
    public async Task A_unary_call_is_answered() =>
        (await peers.RunAsync("unary", "hello")).GetProperty("answer").GetString().Should().Be("hello");

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_message_of_4_MiB_and_more_comes_back_the_same() =>
        (await peers.RunAsync("large", "5000192")).GetProperty("same").GetBoolean().Should().BeTrue();

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_server_s_stream_arrives_whole_and_in_order() =>
        (await peers.RunAsync("down", "2000")).GetProperty("answer").GetBoolean().Should().BeTrue();

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_client_s_stream_arrives_whole() =>
        (await peers.RunAsync("up", "500")).GetProperty("answer").GetString().Should().Be($"500 {499 * 500 / 2}");

    [NeedsPackageFact("python3-grpcio")]
    public async Task Question_and_answer_alternate_on_one_call()
    {
        var result = await peers.RunAsync("chat", "200");

        result.GetProperty("answers").GetInt32().Should().Be(200);
        result.GetProperty("last").GetString().Should().Be("re:199");
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task Many_calls_at_once_over_one_connection_keep_apart() =>
        (await peers.RunAsync("many", "90")).GetProperty("right").GetInt32().Should().Be(90);

    [NeedsPackageFact("python3-grpcio")]
    public async Task Metadata_goes_both_ways_binary_too()
    {
        var result = await peers.RunAsync("meta");

        result.GetProperty("seen").GetString().Should().Be(@"('there', b'\x00\x80\xff', None)");
        result.GetProperty("initial").GetProperty("x-initial").GetString().Should().Be("head");
        result.GetProperty("initial").GetProperty("x-initial-bin").GetString().Should().Be("00ff01");
        result.GetProperty("trailing").GetProperty("x-trailing").GetString().Should().Be("tail");
        result.GetProperty("trailing").GetProperty("x-trailing-bin").GetString().Should().Be("fe00");
    }

    [NeedsPackageTheory("python3-grpcio")]
    [InlineData(5, "NOT_FOUND")]
    [InlineData(13, "INTERNAL")]
    [InlineData(16, "UNAUTHENTICATED")]
    public async Task A_status_that_is_not_OK_comes_with_its_details_and_trailers(int status, string name)
    {
        var result = await peers.RunAsync("fail", $"{status}");

        result.GetProperty("code").GetString().Should().Be(name);
        result.GetProperty("details").GetString().Should().Be("it is so: höchst, 100 %");
        result.GetProperty("trailing").GetProperty("x-reason-bin").GetString().Should().Be("0102");
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_status_after_messages_is_not_lost()
    {
        var result = await peers.RunAsync("fail_late");

        result.GetProperty("got").EnumerateArray().Select(m => m.GetString()).Should().Equal("one", "two");
        result.GetProperty("code").GetString().Should().Be("DATA_LOSS");
        result.GetProperty("details").GetString().Should().Be("after two");
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_method_that_the_server_does_not_have_is_the_server_s_own_answer()
    {
        var result = await peers.RunAsync("missing");

        result.GetProperty("code").GetString().Should().Be("UNIMPLEMENTED");
        result.GetProperty("details").GetString().Should().Be("Method not found!");
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task An_unknown_service_is_UNIMPLEMENTED()
    {
        var result = await peers.RunAsync("unary", "x", service: "nobody");

        result.GetProperty("number").GetInt32().Should().Be(12);
        result.GetProperty("details").GetString().Should().NotBeNullOrEmpty();
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_service_without_instances_is_UNAVAILABLE()
    {
        using var made = await peers.Proxy.Registry.PutServiceAsync("empty", new { });
        made.IsSuccessStatusCode.Should().BeTrue();

        var result = await peers.RunAsync("unary", "x", service: "empty");

        result.GetProperty("number").GetInt32().Should().Be(14);
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_service_at_its_cap_is_RESOURCE_EXHAUSTED()
    {
        await peers.RegisterAsync("narrow", peers.Server, "only", new { max_connections = 1 });
        await using var holder = PythonPeer.Start("grpc_client.py", peers.Call("narrow", "endless"));
        await holder.WaitForLineAsync(l => l.Contains("first", StringComparison.Ordinal));

        var result = await peers.RunAsync("unary", "x", service: "narrow");

        result.GetProperty("number").GetInt32().Should().Be(8);
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_caller_s_deadline_ends_the_call_on_both_sides()
    {
        await using var server = await PythonPeer.ServeAsync("grpc_server.py");
        await peers.RegisterAsync("late", server, "one");

        var result = await peers.RunAsync("deadline", "0.5", service: "late");

        result.GetProperty("code").GetString().Should().Be("DEADLINE_EXCEEDED");
        await server.Process.WaitForLineAsync(l => l == "ended slow", TimeSpan.FromSeconds(2));
        server.Process.Output.Should().Contain("deadline yes", "grpc-timeout goes through");
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_cancelled_call_is_cancelled_at_the_server_and_counts_as_aborted()
    {
        await using var server = await PythonPeer.ServeAsync("grpc_server.py");
        await peers.RegisterAsync("left", server, "one");
        await using var client = PythonPeer.Start("grpc_client.py", peers.Call("left", "cancel"));
        await client.WaitForLineAsync(l => l.Contains("first", StringComparison.Ordinal));

        await server.Process.WaitForLineAsync(l => l == "ended endless", TimeSpan.FromSeconds(2));
        await peers.Proxy.Registry.UntilAsync(
            "one aborted, none failed, none in flight", "/stats/left",
            s => (s.GetProperty("aborted_requests").GetInt64(), s.GetProperty("failed_requests").GetInt64(), s.GetProperty("active_connections").GetInt64()) == (1, 0, 0));

        client.CloseInput();
        (await PythonPeer.ResultAsync(client)).GetProperty("cancelled").GetBoolean().Should().BeTrue();
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_server_killed_amid_a_stream_never_looks_like_success()
    {
        await using var server = await PythonPeer.ServeAsync("grpc_server.py");
        await peers.RegisterAsync("killed", server, "one");
        await using var client = PythonPeer.Start("grpc_client.py", peers.Call("killed", "endless"));
        await client.WaitForLineAsync(l => l.Contains("first", StringComparison.Ordinal));

        server.Process.Kill();

        var result = await PythonPeer.ResultAsync(client);
        result.GetProperty("got").GetArrayLength().Should().Be(1);
        result.GetProperty("code").GetString().Should().Be("UNAVAILABLE");
        await peers.Proxy.Registry.UntilAsync("one failed", "/stats/killed", s => s.GetProperty("failed_requests").GetInt64() == 1);
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_server_that_is_gone_is_UNAVAILABLE()
    {
        await using var server = await PythonPeer.ServeAsync("grpc_server.py");
        await peers.RegisterAsync("gone", server, "one");
        server.Process.Kill();
        await server.Process.WaitForExitAsync();

        (await peers.RunAsync("unary", "x", service: "gone")).GetProperty("number").GetInt32().Should().Be(14);
    }
}
