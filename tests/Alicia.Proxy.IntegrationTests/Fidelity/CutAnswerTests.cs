using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>An answer that the instance did not finish never looks whole to the caller, whatever its framing and whoever asks.</summary>
public sealed class CutAnswerTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    private const string Length = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhello";
    private const string Chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

    /// <summary>What is sent first, what follows once that has arrived, and whether the instance then resets rather than closes.</summary>
    private static readonly Dictionary<string, (string First, string Then, bool Reset)> _cuts = new()
    {
        ["length, closed"] = (Length, "", false),
        ["length, closed one byte early"] = (Length, " worldwide now", false),
        ["length, reset"] = (Length, "", true),
        ["chunked, closed between chunks"] = (Chunked, "", false),
        ["chunked, closed inside a chunk"] = (Chunked, "a\r\nhalf", false),
        ["chunked, closed inside a size"] = (Chunked, "1", false),
        ["chunked, closed inside the last chunk"] = (Chunked, "0\r\n", false),
        ["chunked, reset"] = (Chunked, "", true),
        ["chunked, no size"] = (Chunked, "zz\r\n", false),
        ["chunked, chunk longer than its size"] = (Chunked, "2\r\nabc\r\n0\r\n\r\n", false),
    };

    public static TheoryData<string, string> Cuts
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var cut in _cuts.Keys)
            {
                data.Add(cut, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
                data.Add(cut, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
                data.Add(cut, "GET / HTTP/1.0\r\nHost: {host}\r\n\r\n");
                data.Add(cut, "GET / HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n");
            }

            return data;
        }
    }

    public static TheoryData<string> CutNames => [.. _cuts.Keys];

    [Theory]
    [MemberData(nameof(Cuts))]
    public async Task A_cut_answer_ends_in_a_reset(string cut, string request)
    {
        var arrived = new TaskCompletionSource();
        await using var upstream = Start(cut, arrived);
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync(request.Replace("{host}", host, StringComparison.Ordinal));
        (await caller.ReadUntilAsync("hello")).End.Should().Be(RawEnd.Found);
        arrived.SetResult();
        var (rest, end) = await caller.ReadToEndAsync();

        // An orderly end would tell a caller of HTTP/1.0 that it has everything.
        end.Should().Be(RawEnd.Reset);
        rest.Should().NotContain("0\r\n\r\n");
    }

    [Theory]
    [MemberData(nameof(CutNames))]
    public async Task A_cut_answer_resets_the_stream_of_HTTP_2(string cut)
    {
        var arrived = new TaskCompletionSource();
        await using var upstream = Start(cut, arrived);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/") { Headers = { Host = await fixture.ServiceAsync(upstream) } };
        using var answer = await fixture.Proxy.H2c.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await using var body = await answer.Content.ReadAsStreamAsync();
        var first = new byte[5];
        await body.ReadExactlyAsync(first);

        arrived.SetResult();
        var rest = async () => await body.CopyToAsync(Stream.Null).WaitAsync(Deadlines.Wait);

        var fault = (await rest.Should().ThrowAsync<HttpProtocolException>()).Which;
        fault.ErrorCode.Should().NotBe(0, "that is NO_ERROR");
    }

    [Fact]
    public async Task A_cut_answer_counts_as_the_instances_failure_and_frees_its_slot()
    {
        await using var upstream = RawUpstream.Start(Length);
        var host = await fixture.ServiceAsync(upstream);

        await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");

        await fixture.Proxy.Registry.UntilAsync("one failure, nothing in flight", $"/stats/{host.Split('.')[0]}",
            s => s.GetProperty("failed_requests").GetInt64() == 1 && s.GetProperty("active_connections").GetInt32() == 0);
    }

    private static RawUpstream Start(string name, TaskCompletionSource arrived)
    {
        var (first, then, reset) = _cuts[name];
        return RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync(first);
            await arrived.Task.WaitAsync(Deadlines.Wait);
            await connection.SendAsync(then);
            if (reset)
                connection.Reset();
        });
    }
}
