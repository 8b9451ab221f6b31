using System.Globalization;
using System.Text;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Telemetry;
using Alicia.Proxy.UnitTests.Configuration;
using Microsoft.Extensions.Logging.Abstractions;

namespace Alicia.Proxy.UnitTests.Telemetry;

public sealed class AccessLogTests
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task What_was_left_is_written_in_order_by_the_time_it_has_stopped()
    {
        using var output = new MemoryStream();
        var log = Log(output);
        await log.StartAsync(CancellationToken.None);
        for (var i = 0; i < 500; i++)
            log.Write(Entries.Ordinary with { RequestId = i.ToString(CultureInfo.InvariantCulture) });

        await log.StopAsync(CancellationToken.None);

        var lines = Encoding.ASCII.GetString(output.ToArray()).TrimEnd('\n').Split('\n');
        lines.Select(l => l.Split("\"request_id\":\"")[1].Split('"')[0]).Should().Equal(Enumerable.Range(0, 500).Select(i => i.ToString(CultureInfo.InvariantCulture)));
        log.Dropped.Should().Be(0);
    }

    [Fact]
    public async Task A_reader_who_has_stopped_holds_nobody_up_and_what_is_lost_is_counted()
    {
        using var output = new StuckStream();
        var log = Log(output);
        await log.StartAsync(CancellationToken.None);
        log.Write(Entries.Ordinary);
        await output.Reached.Task.WaitAsync(_patience);
        const int Beyond = 100;

        // The writer is stuck with its batch: so many fit behind it.
        var fit = AccessLog.Capacity / Entries.Line(Entries.Ordinary, AccessLogFormat.Json).Length;
        await Task.Run(() =>
        {
            for (var i = 0; i < fit + Beyond; i++)
                log.Write(Entries.Ordinary);
        }).WaitAsync(_patience);

        log.Dropped.Should().Be(Beyond);
        output.Release();
        await log.StopAsync(CancellationToken.None);
        output.Lines.Should().Be(1 + fit);
    }

    [Fact]
    public async Task Output_that_cannot_be_written_is_counted_and_tried_again()
    {
        using var output = new StuckStream { Fault = new IOException("broken pipe") };
        output.Release();
        var log = Log(output);
        await log.StartAsync(CancellationToken.None);
        log.Write(Entries.Ordinary);
        SpinWait.SpinUntil(() => log.Dropped == 1, _patience).Should().BeTrue("the line that failed is counted");

        output.Fault = null;
        log.Write(Entries.Ordinary);
        await log.StopAsync(CancellationToken.None);

        (output.Lines, log.Dropped).Should().Be((1, 1));
    }

    [Theory]
    [InlineData("off", 0)]
    [InlineData("on", 10_000)]
    [InlineData("0.01", 100)]
    [InlineData("0.5", 5_000)]
    public void As_many_are_sampled_as_the_share_says(string share, int expected)
    {
        const int Requests = 10_000;
        var log = Log(Stream.Null, ("Logging:AccessLog", share));

        var sampled = Enumerable.Range(0, Requests).Count(_ => log.Samples());

        // Four standard deviations; the seed decides, so that it holds always or never.
        var p = (double)expected / Requests;
        sampled.Should().BeCloseTo(expected, (uint)(4 * Math.Sqrt(Requests * p * (1 - p))));
    }

    [Fact]
    public void The_same_seed_samples_the_same_requests()
    {
        var (one, other) = (Log(Stream.Null, ("Logging:AccessLog", ".3")), Log(Stream.Null, ("Logging:AccessLog", ".3")));

        Enumerable.Range(0, 1000).Select(_ => one.Samples()).Should().Equal(Enumerable.Range(0, 1000).Select(_ => other.Samples()));
    }

    private static AccessLog Log(Stream output, params (string Key, string Value)[] configuration) =>
        new(new CurrentConfiguration(ReaderSteps.Valid(configuration)), new Random(7), output, TimeProvider.System, NullLogger<AccessLog>.Instance);

    /// <summary>A pipe whose reader does nothing until it is released.</summary>
    private sealed class StuckStream : MemoryStream
    {
        private readonly ManualResetEventSlim _released = new();

        public TaskCompletionSource Reached { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Exception? Fault { get; set; }

        public int Lines { get; private set; }

        public void Release() => _released.Set();

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            Reached.TrySetResult();
            _released.Wait(_patience);
            if (Fault is { } fault)
                throw fault;
            Lines += buffer.Count((byte)'\n');
        }

        protected override void Dispose(bool disposing)
        {
            _released.Dispose();
            base.Dispose(disposing);
        }
    }
}
