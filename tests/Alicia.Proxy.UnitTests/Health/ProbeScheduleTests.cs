using Alicia.Proxy.Health;
using Alicia.Proxy.Registry.Settings;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Health;

/// <summary>Over a clock that stands still unless the test moves it; probes that end at once do so within the move.</summary>
public sealed class ProbeScheduleTests : IAsyncLifetime
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    private readonly FakeTimeProvider _time = new();
    private readonly ErrorCount _errors = new();
    private readonly ProbeSchedule _schedule;
    private readonly ProbeSettings _settings = Every(Interval);

    public ProbeScheduleTests() => _schedule = new ProbeSchedule(_time, new Random(7), _errors, concurrency: 4);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _schedule.DisposeAsync();

    [Fact]
    public void The_first_probe_comes_at_once_and_the_next_ones_after_what_the_last_said()
    {
        var delays = new Queue<double>([2, 2, 2]);
        var starts = Track(1, () => TimeSpan.FromSeconds(delays.TryDequeue(out var next) ? next : 25));

        starts.Should().HaveCount(1);
        Run(seconds: 8);
        starts.Should().HaveCount(4);
        Gaps(starts).Should().OnlyContain(g => g >= 1.8 && g <= 2.21);
    }

    [Fact]
    public void Nobody_waits_longer_than_the_interval_even_when_a_probe_asks_for_it()
    {
        var starts = Track(1, () => TimeSpan.FromDays(1));

        Run(seconds: 300);

        Gaps(starts).Should().HaveCountGreaterThanOrEqualTo(9).And.OnlyContain(g => g <= 33.1);
    }

    /// <summary>A registration a second and a removal a second for an hour; steps of 100 ms, seed 7.</summary>
    [Fact]
    public void A_registration_every_second_delays_nobody()
    {
        var old = Enumerable.Range(1, 20).Select(e => Track(e, () => Interval)).ToList();
        var newcomers = new List<List<double>>();
        for (var second = 0; second < 3600; second++)
        {
            newcomers.Add(Track(1000 + second, () => Interval));
            if (second >= 120)
                _schedule.Remove(1000 + second - 120);
            Run(seconds: 1);
        }

        foreach (var starts in old)
        {
            starts.Should().HaveCountGreaterThanOrEqualTo(3600 / 33);
            Gaps(starts).Skip(1).Should().OnlyContain(g => g >= 26.9 && g <= 33.2);
            Gaps(starts).First().Should().BeLessThanOrEqualTo(30.2);
        }

        foreach (var starts in newcomers.SkipLast(120))
        {
            starts.Should().HaveCountGreaterThanOrEqualTo(4, "each was there for two minutes");
            Gaps(starts).Skip(1).Should().OnlyContain(g => g >= 26.9 && g <= 33.2);
        }
    }

    /// <summary>3,000 instances, seed 7: a second of the interval has 100 probes on average, with a standard deviation below 10.</summary>
    [Fact]
    public void Those_that_came_together_do_not_march_in_step()
    {
        var all = Enumerable.Range(1, 3000).Select(e => Track(e, () => Interval)).ToList();
        all.Should().OnlyContain(starts => starts.Count == 1, "the first probe of each comes at once");

        Run(seconds: 30);

        var perSecond = all.SelectMany(s => s.Skip(1)).GroupBy(at => (int)Math.Floor(at)).ToDictionary(g => g.Key, g => g.Count());
        all.Should().OnlyContain(s => s.Count >= 2);
        Enumerable.Range(0, 30).Should().OnlyContain(second => perSecond.GetValueOrDefault(second) >= 50 && perSecond.GetValueOrDefault(second) <= 160);
    }

    [Fact]
    public async Task No_more_run_at_once_than_may_and_the_others_follow_the_longest_overdue_first()
    {
        var probes = Enumerable.Range(1, 10).Select(e => Hold(e)).ToList();

        Running(probes).Should().Equal(1, 2, 3, 4);
        Run(seconds: 5);
        probes[1].End(Interval);
        await Until(() => probes[4].Runs == 1, "the fifth begins when one has ended");
        Running(probes).Should().Equal(1, 3, 4, 5);
        foreach (var probe in probes.Take(5).Where(p => p.IsRunning))
            probe.End(Interval);
        await Until(() => probes[8].Runs == 1, "four more begin");
        Running(probes).Should().Equal(6, 7, 8, 9);
    }

    [Fact]
    public async Task An_urgent_probe_goes_ahead_of_those_that_are_due()
    {
        var probes = Enumerable.Range(1, 10).Select(e => Hold(e)).ToList();

        _schedule.ProbeNow(10);
        _schedule.ProbeNow(8);
        _schedule.ProbeNow(8);
        probes[0].End(Interval);
        probes[1].End(Interval);

        await Until(() => probes[9].Runs == 1 && probes[7].Runs == 1, "the urgent ones begin");
        Running(probes).Should().Equal(3, 4, 8, 10);
    }

    [Fact]
    public void One_that_waits_its_time_is_probed_when_asked_and_keeps_its_interval_from_there()
    {
        var starts = Track(1, () => Interval);
        Run(seconds: 31);
        var before = starts.Count;

        _schedule.ProbeNow(1);

        starts.Should().HaveCount(before + 1);
        Run(seconds: 26);
        starts.Should().HaveCount(before + 1);
        Run(seconds: 8);
        starts.Should().HaveCount(before + 2);
    }

    [Fact]
    public async Task Asked_while_it_is_probed_it_is_probed_once_more_right_after_and_never_twice_at_once()
    {
        var probe = Hold(1);
        for (var i = 0; i < 5; i++)
            _schedule.ProbeNow(1);
        Run(seconds: 60);
        probe.Runs.Should().Be(1);

        probe.End(Interval);
        await Until(() => probe.Runs == 2, "the second begins");
        probe.End(Interval);
        await Until(() => !probe.IsRunning, "it ends");
        Run(seconds: 0.1);
        probe.Runs.Should().Be(2);
    }

    [Fact]
    public async Task A_probe_that_takes_longer_than_its_time_is_followed_by_the_next()
    {
        var probe = Hold(1);
        Run(seconds: 45);
        probe.Runs.Should().Be(1);

        probe.End(Interval);
        await Until(() => { Run(seconds: 0.1); return probe.Runs == 2; }, "the next begins");
    }

    [Fact]
    public void A_shorter_interval_counts_from_now_and_a_longer_one_after_the_next_probe()
    {
        var interval = Interval;
        var starts = Track(1, () => interval);
        Run(seconds: 31);
        var before = starts.Count;

        _schedule.Change(1, Every(interval = TimeSpan.FromSeconds(1))).Should().BeTrue();
        Run(seconds: 1.1);
        starts.Should().HaveCountGreaterThan(before);
        Run(seconds: 10);
        before = starts.Count;

        _schedule.Change(1, Every(interval = TimeSpan.FromSeconds(100)));
        Run(seconds: 1.2);
        starts.Should().HaveCount(before + 1);
        Run(seconds: 88);
        starts.Should().HaveCount(before + 1);
        _schedule.Change(2, _settings).Should().BeFalse();
    }

    [Fact]
    public async Task A_removed_instance_is_not_probed_again_and_its_probe_is_cancelled()
    {
        var probe = Hold(1);

        _schedule.Remove(1);

        await Until(() => !probe.IsRunning, "it is cancelled");
        Run(seconds: 120);
        _schedule.ProbeNow(1);
        Run(seconds: 1);
        probe.Runs.Should().Be(1);
        _errors.Count.Should().Be(0);
    }

    [Fact]
    public void A_probe_that_throws_is_told_once_and_probed_again_after_its_interval()
    {
        var throws = true;
        var starts = Track(1, () => throws ? throw new InvalidOperationException("broken") : Interval);
        Run(seconds: 200);
        starts.Should().HaveCountGreaterThanOrEqualTo(6);
        _errors.Count.Should().Be(1);

        throws = false;
        Run(seconds: 60);
        throws = true;
        Run(seconds: 60);
        _errors.Count.Should().Be(2, "it had worked in between");
    }

    [Fact]
    public async Task Disposal_ends_those_that_run_and_begins_none()
    {
        var probes = Enumerable.Range(1, 10).Select(e => Hold(e)).ToList();

        await _schedule.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(5));

        probes.Should().OnlyContain(p => !p.IsRunning);
        Run(seconds: 120);
        _schedule.Add(11, _settings, _ => throw new InvalidOperationException("begun after the end"));
        _schedule.ProbeNow(1);
        Run(seconds: 1);
        probes.Sum(p => p.Runs).Should().Be(4);
        _errors.Count.Should().Be(0);
    }

    [Fact]
    public async Task Disposal_does_not_wait_for_a_probe_that_will_not_end()
    {
        var never = new TaskCompletionSource<TimeSpan>();
        _schedule.Add(1, _settings, _ => never.Task);

        var disposal = _schedule.DisposeAsync().AsTask();

        await Until(() => { Run(seconds: 0.1); return disposal.IsCompleted; }, "it gives up");
        never.SetResult(Interval);
    }

    [Fact]
    public async Task Under_real_time_and_many_threads_nobody_is_probed_twice_at_once_or_forgotten()
    {
        await using var schedule = new ProbeSchedule(TimeProvider.System, new Random(3), _errors, concurrency: 8);
        var settings = Every(TimeSpan.FromMilliseconds(100));
        var running = new int[200];
        var runs = new int[200];
        var (overlaps, atOnce, most) = (0, 0, 0);
        async Task<TimeSpan> ProbeAsync(int i)
        {
            if (Interlocked.Increment(ref running[i]) > 1)
                Interlocked.Increment(ref overlaps);
            InterlockedMax(ref most, Interlocked.Increment(ref atOnce));
            await Task.Yield();
            Interlocked.Increment(ref runs[i]);
            Interlocked.Decrement(ref atOnce);
            Interlocked.Decrement(ref running[i]);
            return TimeSpan.FromMilliseconds(20);
        }

        Parallel.For(0, 200, i => schedule.Add(i, settings, _ => ProbeAsync(i)));
        Parallel.For(0, 4000, i => schedule.ProbeNow(i % 200));

        await Until(() => runs.All(r => Volatile.Read(ref r) >= 10), "each is probed again and again");
        (overlaps, _errors.Count).Should().Be((0, 0));
        most.Should().BeLessThanOrEqualTo(8);
    }

    private static void InterlockedMax(ref int most, int value)
    {
        for (int seen; (seen = Volatile.Read(ref most)) < value && Interlocked.CompareExchange(ref most, value, seen) != seen;)
        {
        }
    }

    private static ProbeSettings Every(TimeSpan interval) =>
        ProbeSettings.Resolve(ServiceSettings.BuiltIn, SettingOverrides.Empty.With(SettingKeys.HealthCheckInterval, interval));

    private double Now => (_time.GetUtcNow() - _time.Start).TotalSeconds;

    private static IEnumerable<double> Gaps(List<double> starts) => starts.Zip(starts.Skip(1), (a, b) => b - a);

    private static IEnumerable<long> Running(IEnumerable<HeldProbe> probes) => probes.Where(p => p.IsRunning).Select(p => p.Epoch);

    /// <summary>Adds an instance whose probes end at once.</summary>
    /// <returns>When they began, in seconds.</returns>
    private List<double> Track(long epoch, Func<TimeSpan> delay)
    {
        var starts = new List<double>();
        _schedule.Add(epoch, _settings, _ =>
        {
            starts.Add(Now);
            return Task.FromResult(delay());
        });
        return starts;
    }

    private HeldProbe Hold(long epoch)
    {
        var probe = new HeldProbe(epoch);
        _schedule.Add(epoch, _settings, probe.RunAsync);
        return probe;
    }

    /// <summary>Moves the clock in steps of 100 ms.</summary>
    private void Run(double seconds)
    {
        for (var step = 0; step < (int)Math.Round(seconds * 10); step++)
            _time.Advance(TimeSpan.FromMilliseconds(100));
    }

    private static async Task Until(Func<bool> condition, string what)
    {
        var deadline = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            TimeProvider.System.GetElapsedTime(deadline).Should().BeLessThan(TimeSpan.FromSeconds(20), what);
            await Task.Delay(1);
        }
    }

    /// <summary>A probe that runs until the test ends it or its token does.</summary>
    private sealed class HeldProbe(long epoch)
    {
        private volatile TaskCompletionSource<TimeSpan>? _current;
        private int _runs;

        public long Epoch { get; } = epoch;

        public int Runs => Volatile.Read(ref _runs);

        public bool IsRunning => _current is not null;

        public void End(TimeSpan delay) => _current!.SetResult(delay);

        public async Task<TimeSpan> RunAsync(CancellationToken cancellation)
        {
            (_current is null).Should().BeTrue("never two at once");
            _current = new TaskCompletionSource<TimeSpan>();
            Interlocked.Increment(ref _runs);
            try
            {
                return await _current.Task.WaitAsync(cancellation);
            }
            finally
            {
                _current = null;
            }
        }
    }

    private sealed class ErrorCount : ILogger<ProbeSchedule>
    {
        private int _count;

        public int Count => Volatile.Read(ref _count);

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel == LogLevel.Error)
                Interlocked.Increment(ref _count);
        }
    }
}
