using System.IO.Pipelines;
using System.Text;
using Alicia.Proxy.Api;
using Alicia.Proxy.Events;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Api;

/// <summary>Streams of events over a clock that the test moves and a body that it reads, or does not.</summary>
public sealed class EventStreamTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly EventLog _log;
    private readonly EventStreams _streams;

    public EventStreamTests()
    {
        _log = new EventLog(_time);
        _streams = new EventStreams(_log, _time, NullLogger<EventStreams>.Instance);
    }

    [Fact]
    public async Task It_begins_with_the_pause_before_a_reconnect_and_the_place_to_resume_from()
    {
        var caller = new Caller();
        var start = _log.LastId;
        var serving = _streams.ServeAsync(caller.Context, null, _ => true);

        (await caller.ReadUntilAsync("\n\n")).Should().Be($"retry: 2000\nid: {start}\n\n");
        caller.Context.Response.ContentType.Should().Be("text/event-stream");
        caller.Context.Response.Headers.CacheControl.ToString().Should().Be("no-store");

        caller.Leave();
        await Within(serving);
    }

    [Fact]
    public async Task An_event_is_written_with_what_is_known_of_it()
    {
        var caller = new Caller();
        var serving = _streams.ServeAsync(caller.Context, null, _ => true);
        await caller.ReadUntilAsync("\n\n");

        _log.Publish(EventKind.InstanceStateChanged, "tts", new Happening { InstanceId = "a", Epoch = 7, Previous = "active", Current = "draining" });

        (await caller.ReadUntilAsync("\n\n")).Should().Be($$"""
            id: {{_log.LastId}}
            event: instance_state_changed
            data: {"id":{{_log.LastId}},"timestamp":"2000-01-01T00:00:00.000Z","type":"instance_state_changed","service_name":"tts","instance_id":"a","previous":"active","current":"draining"}


            """);
        caller.Leave();
        await Within(serving);
    }

    [Fact]
    public async Task Silence_is_broken_and_moves_the_place_to_resume_from_past_what_the_caller_does_not_see()
    {
        var caller = new Caller();
        var serving = _streams.ServeAsync(caller.Context, null, name => name == "mine");
        await caller.ReadUntilAsync("\n\n");
        _log.Publish(EventKind.ServiceAdded, "yours");
        var before = _time.GetUtcNow();

        var next = caller.ReadUntilAsync("\n\n");
        await AdvanceUntilAsync(next);

        (await next).Should().Be($":\nid: {_log.LastId}\n\n");
        (_time.GetUtcNow() - before).Should().BeGreaterThanOrEqualTo(EventStream.KeepAlive);

        next = caller.ReadUntilAsync("\n\n");
        await AdvanceUntilAsync(next);
        (await next).Should().Be(":\n\n", "nothing has happened since");
        caller.Leave();
        await Within(serving);
    }

    [Fact]
    public async Task A_caller_that_does_not_read_is_aborted_when_a_write_has_waited_for_its_time()
    {
        var caller = new Caller(room: 4096);
        var serving = _streams.ServeAsync(caller.Context, null, _ => true);
        await caller.ReadUntilAsync("\n\n");
        // More than the body has room for, far less than the queue.
        for (var i = 0; i < 200; i++)
            _log.Publish(EventKind.ServiceChanged, "tts");
        await caller.UntilFullAsync();
        var start = _time.GetUtcNow();

        await AdvanceUntilAsync(serving);

        (_time.GetUtcNow() - start).Should().BeGreaterThanOrEqualTo(EventStream.WriteLimit);
        caller.Context.RequestAborted.IsCancellationRequested.Should().BeTrue();
        (_log.CutOff, _log.Followers, _streams.Open).Should().Be((1, 0, 0));
    }

    [Fact]
    public async Task A_caller_whose_queue_is_full_is_aborted_at_once()
    {
        var caller = new Caller(room: 4096);
        var serving = _streams.ServeAsync(caller.Context, null, _ => true);
        await caller.ReadUntilAsync("\n\n");

        for (var i = 0; i < EventLog.QueueLength + 1000; i++)
            _log.Publish(EventKind.ServiceChanged, "tts");

        await Within(serving);
        caller.Context.RequestAborted.IsCancellationRequested.Should().BeTrue();
        (_log.CutOff, _log.Followers, _streams.Open).Should().Be((1, 0, 0));
    }

    [Fact]
    public async Task Callers_that_leave_leave_nothing_behind()
    {
        Caller[] callers = [.. Enumerable.Range(0, 50).Select(_ => new Caller())];
        Task[] serving = [.. callers.Select(c => _streams.ServeAsync(c.Context, null, _ => true))];
        foreach (var caller in callers)
            await caller.ReadUntilAsync("\n\n");
        (_log.Followers, _streams.Open).Should().Be((50, 50));

        foreach (var caller in callers)
            caller.Leave();

        await Within(Task.WhenAll(serving));
        (_log.CutOff, _log.Followers, _streams.Open).Should().Be((0, 0, 0));
    }

    [Fact]
    public async Task There_is_room_for_so_many_and_again_when_one_has_left()
    {
        Caller[] callers = [.. Enumerable.Range(0, EventStreams.Limit).Select(_ => new Caller())];
        Task[] serving = [.. callers.Select(c => _streams.ServeAsync(c.Context, null, _ => true))];

        (await Within(_streams.ServeAsync(new Caller().Context, null, _ => true))).Should().BeFalse();
        callers[0].Leave();
        await Within(serving[0]);
        var last = new Caller();
        var lastServing = _streams.ServeAsync(last.Context, null, _ => true);
        await last.ReadUntilAsync("\n\n");

        foreach (var caller in callers.Skip(1).Append(last))
            caller.Leave();
        await Within(Task.WhenAll([.. serving, lastServing]));
        _streams.Open.Should().Be(0);
    }

    [Fact]
    public async Task A_stop_ends_who_reads_in_order_aborts_who_does_not_and_takes_nobody_new()
    {
        var reader = new Caller();
        var stuck = new Caller(room: 4096);
        Task[] serving = [_streams.ServeAsync(reader.Context, null, _ => true), _streams.ServeAsync(stuck.Context, null, _ => true)];
        var reading = reader.ReadUntilAsync("never");
        await stuck.ReadUntilAsync("\n\n");
        for (var i = 0; i < 200; i++)
            _log.Publish(EventKind.ServiceChanged, "tts");
        await stuck.UntilFullAsync();

        _streams.End();

        await Within(Task.WhenAll(serving));
        reader.Context.RequestAborted.IsCancellationRequested.Should().BeFalse();
        stuck.Context.RequestAborted.IsCancellationRequested.Should().BeTrue();
        (await _streams.ServeAsync(new Caller().Context, null, _ => true)).Should().BeFalse();
        reader.Leave();
        (await reading).Should().Contain("event: service_changed");
    }

    private static async Task<T> Within<T>(Task<T> task) => await task.WaitAsync(TimeSpan.FromSeconds(10));

    private static async Task Within(Task task) => await task.WaitAsync(TimeSpan.FromSeconds(10));

    /// <summary>Moves the clock on, second by second, until the task is done; ten real seconds at most.</summary>
    private async Task AdvanceUntilAsync(Task task)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (!task.IsCompleted)
        {
            deadline.Token.ThrowIfCancellationRequested();
            _time.Advance(TimeSpan.FromSeconds(1));
            // What the clock has set off runs before it moves on.
            await Task.Delay(1);
        }
    }

    /// <summary>A request whose answer goes into a pipe with so much room.</summary>
    private sealed class Caller
    {
        private readonly Pipe _pipe;
        private readonly StringBuilder _read = new();
        private readonly int _room;
        private int _taken;

        public Caller(int room = 1024 * 1024)
        {
            _room = room;
            _pipe = new Pipe(new PipeOptions(pauseWriterThreshold: room, resumeWriterThreshold: room / 2));
            Context.Features.Set<IHttpResponseBodyFeature>(new PipeBody(_pipe.Writer));
            Context.Features.Set<IHttpRequestLifetimeFeature>(new Lifetime());
            // As a server does: who waits for room is let go.
            Context.RequestAborted.Register(() => _pipe.Writer.CancelPendingFlush());
        }

        public DefaultHttpContext Context { get; } = new();

        public void Leave() => Context.Abort();

        /// <summary>Waits until the writer waits for room.</summary>
        public async Task UntilFullAsync()
        {
            using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            while (true)
            {
                var result = await _pipe.Reader.ReadAsync(deadline.Token);
                var full = result.Buffer.Length >= _room;
                _pipe.Reader.AdvanceTo(result.Buffer.Start, full ? result.Buffer.Start : result.Buffer.End);
                if (full)
                    return;
            }
        }

        public async Task<string> ReadUntilAsync(string marker)
        {
            while (true)
            {
                var unread = _read.ToString(_taken, _read.Length - _taken);
                var at = unread.IndexOf(marker, StringComparison.Ordinal);
                if (at >= 0 || Context.RequestAborted.IsCancellationRequested)
                {
                    var length = at >= 0 ? at + marker.Length : unread.Length;
                    _taken += length;
                    return unread[..length];
                }

                try
                {
                    var result = await _pipe.Reader.ReadAsync(Context.RequestAborted);
                    foreach (var part in result.Buffer)
                        _read.Append(Encoding.UTF8.GetString(part.Span));
                    _pipe.Reader.AdvanceTo(result.Buffer.End);
                }
                catch (OperationCanceledException)
                {
                    // Left; what was read is told above.
                }
            }
        }

        private sealed class Lifetime : IHttpRequestLifetimeFeature
        {
            private readonly CancellationTokenSource _aborted = new();

            public Lifetime() => RequestAborted = _aborted.Token;

            public CancellationToken RequestAborted { get; set; }

            public void Abort() => _aborted.Cancel();
        }

        private sealed class PipeBody(PipeWriter writer) : IHttpResponseBodyFeature
        {
            public Stream Stream => Writer.AsStream();

            public PipeWriter Writer { get; } = writer;

            public void DisableBuffering()
            {
            }

            public Task StartAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

            public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) => throw new NotSupportedException();

            public Task CompleteAsync() => Task.CompletedTask;
        }
    }
}
