using System.Globalization;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>A gibibyte each way, with a length and in chunks: every byte arrives, and the proxy does not grow with them.</summary>
[Collection(HeavyTests.Name)]
public sealed class LargeBodyTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    private const long Size = 1L << 30;
    private const int Piece = 256 * 1024;

    /// <summary>By how much the process may grow: its heap budget and socket buffers, far from the body's size.</summary>
    private const long MayGrow = 150L << 20;

    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_gibibyte_goes_up_with_flat_memory(bool chunked)
    {
        var arrived = new GeneratedBody();
        await using var upstream = WireServer.Start(async wire =>
        {
            var head = (await wire.ReadHeadAsync())!;
            await ReceiveAsync(wire, head.Values("Transfer-Encoding").Count > 0, arrived);
            await wire.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Framing: {string.Join(',', head.Values("Transfer-Encoding"))}{string.Join(',', head.Values("Content-Length"))}\r\n\r\n");
        });
        var host = await fixture.ServiceAsync(upstream);

        var answer = await WithFlatMemoryAsync(async () =>
        {
            using var wire = await Wire.ConnectAsync(fixture.Address);
            await wire.SendAsync($"POST /up HTTP/1.1\r\nHost: {host}\r\n{Framing(chunked)}\r\n\r\n");
            await SendBodyAsync(wire, chunked);
            return (await wire.ReadMessageAsync())!;
        });

        answer.StartLine.Should().Be("HTTP/1.1 200 OK");
        answer.Values("X-Framing").Should().Equal(chunked ? "chunked" : Size.ToString(CultureInfo.InvariantCulture));
        arrived.Checked.Should().Be(Size);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_gibibyte_comes_down_with_flat_memory(bool chunked)
    {
        await using var upstream = WireServer.Start(async wire =>
        {
            await wire.ReadHeadAsync();
            await wire.SendAsync($"HTTP/1.1 200 OK\r\n{Framing(chunked)}\r\n\r\n");
            await SendBodyAsync(wire, chunked);
        });
        var host = await fixture.ServiceAsync(upstream);
        var arrived = new GeneratedBody();

        var head = await WithFlatMemoryAsync(async () =>
        {
            using var wire = await Wire.ConnectAsync(fixture.Address);
            await wire.SendAsync($"GET /down HTTP/1.1\r\nHost: {host}\r\n\r\n");
            var got = (await wire.ReadHeadAsync())!;
            await ReceiveAsync(wire, got.Values("Transfer-Encoding").Count > 0, arrived);
            return got;
        });

        head.Values("Transfer-Encoding").Should().HaveCount(chunked ? 1 : 0);
        arrived.Checked.Should().Be(Size);
    }

    private static string Framing(bool chunked) => chunked ? "Transfer-Encoding: chunked" : $"Content-Length: {Size}";

    private static async Task SendBodyAsync(Wire wire, bool chunked)
    {
        for (var sent = 0L; sent < Size; sent += Piece)
        {
            if (chunked)
                await wire.SendAsync($"{Piece:x}\r\n");
            await wire.SendAsync(GeneratedBody.Part(sent, Piece));
            if (chunked)
                await wire.SendAsync("\r\n");
        }

        if (chunked)
            await wire.SendAsync("0\r\n\r\n");
    }

    private static async Task ReceiveAsync(Wire wire, bool chunked, GeneratedBody into)
    {
        if (!chunked)
        {
            while (into.Checked < Size && await wire.ReadSomeAsync() is { IsEmpty: false } some)
                into.Check(some.Span);
            return;
        }

        while (await wire.LineAsync() is { } line && int.Parse(line, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) is > 0 and var left)
        {
            while (left > 0 && await wire.ReadSomeAsync(left) is { IsEmpty: false } some)
            {
                into.Check(some.Span);
                left -= some.Length;
            }

            await wire.LineAsync();
        }

        await wire.LineAsync();
    }

    private async Task<T> WithFlatMemoryAsync<T>(Func<Task<T>> transfer)
    {
        var before = ResidentBytes();
        var highest = before;
        var running = transfer().WaitAsync(_limit);
        while (!running.IsCompleted)
        {
            highest = Math.Max(highest, ResidentBytes());
            await Task.WhenAny(running, Task.Delay(TimeSpan.FromMilliseconds(50)));
        }

        var result = await running;
        (highest - before).Should().BeLessThan(MayGrow);
        return result;
    }

    /// <summary>VmRSS of the proxy's process.</summary>
    private long ResidentBytes()
    {
        var line = File.ReadLines($"/proc/{fixture.Proxy.Process.Id}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) * 1024;
    }
}
