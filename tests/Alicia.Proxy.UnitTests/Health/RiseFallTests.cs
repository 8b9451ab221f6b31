using Alicia.Proxy.Health;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.UnitTests.Health;

public sealed class RiseFallTests
{
    private readonly RiseFall _machine = new();

    [Fact]
    public void One_success_makes_a_new_instance_healthy_whatever_rise_is()
    {
        _machine.Observe(passed: true, rise: 5, fall: 3).Should().Be(HealthStatus.Healthy);
        _machine.Status.Should().Be(HealthStatus.Healthy);
        _machine.BetweenStates.Should().BeFalse();
    }

    [Fact]
    public void A_new_instance_that_failed_is_between_states_until_it_is_unhealthy()
    {
        _machine.BetweenStates.Should().BeFalse();
        _machine.Observe(passed: false, 2, 3).Should().BeNull();
        _machine.BetweenStates.Should().BeTrue();
        _machine.Observe(passed: false, 2, 3).Should().BeNull();
        _machine.Status.Should().Be(HealthStatus.Unknown);
        _machine.Observe(passed: false, 2, 3).Should().Be(HealthStatus.Unhealthy);
        _machine.BetweenStates.Should().BeFalse();
    }

    [Fact]
    public void A_new_instance_that_failed_still_needs_only_one_success()
    {
        _machine.Observe(passed: false, 2, 3);
        _machine.Observe(passed: true, 2, 3).Should().Be(HealthStatus.Healthy);
    }

    [Fact]
    public void A_healthy_instance_falls_by_failures_in_a_row_only()
    {
        Observe("+ --+ --+ --").Should().Equal(HealthStatus.Healthy);
        Observe("-").Should().Equal(HealthStatus.Unhealthy);
    }

    [Fact]
    public void An_unhealthy_instance_rises_by_successes_in_a_row_only()
    {
        Observe("+---").Should().Equal(HealthStatus.Healthy, HealthStatus.Unhealthy);
        Observe("+-+-+").Should().BeEmpty();
        _machine.BetweenStates.Should().BeTrue();
        Observe("+").Should().Equal(HealthStatus.Healthy);
    }

    [Theory]
    [InlineData("")]
    [InlineData("-")]
    [InlineData("+")]
    [InlineData("+--")]
    public void Failing_at_once_needs_no_row(string before)
    {
        Observe(before);
        _machine.FailAtOnce().Should().Be(HealthStatus.Unhealthy);
        _machine.Status.Should().Be(HealthStatus.Unhealthy);
        _machine.BetweenStates.Should().BeFalse();
    }

    [Fact]
    public void Failing_at_once_breaks_the_row_of_successes_of_one_that_was_rising()
    {
        Observe("---+");
        _machine.FailAtOnce().Should().BeNull();
        _machine.BetweenStates.Should().BeFalse();
        Observe("+").Should().BeEmpty();
        Observe("+").Should().Equal(HealthStatus.Healthy);
    }

    /// <summary>1,000 sequences of 200 events, seeds 0 to 999, thresholds of 1 to 4 that change now and then.</summary>
    [Fact]
    public void It_does_what_a_model_does_that_keeps_the_whole_history()
    {
        for (var seed = 0; seed < 1000; seed++)
        {
            var random = new Random(seed);
            var machine = new RiseFall();
            var model = new Model();
            var (rise, fall) = (2, 3);
            for (var step = 0; step < 200; step++)
            {
                if (random.Next(20) == 0)
                    (rise, fall) = (random.Next(1, 5), random.Next(1, 5));
                var passed = random.Next(2) == 0;
                var atOnce = random.Next(25) == 0;
                var before = model.Status;
                var moved = atOnce ? machine.FailAtOnce() : machine.Observe(passed, rise, fall);
                if (atOnce)
                    model.FailAtOnce();
                else
                    model.Observe(passed, rise, fall);

                var where = $"seed {seed}, step {step}";
                machine.Status.Should().Be(model.Status, where);
                moved.Should().Be(model.Status == before ? null : model.Status, where);
                machine.BetweenStates.Should().Be(model.BetweenStates, where);
            }
        }
    }

    private List<HealthStatus> Observe(string results) =>
        [.. results.Where(r => r != ' ').Select(r => _machine.Observe(r == '+', rise: 2, fall: 3)).OfType<HealthStatus>()];

    /// <summary>Looks at all results since the status last moved.</summary>
    private sealed class Model
    {
        private readonly List<bool> _results = [];

        public HealthStatus Status { get; private set; }

        public bool BetweenStates => _results.Count > 0 && _results[^1] == (Status == HealthStatus.Unhealthy);

        public void Observe(bool passed, int rise, int fall)
        {
            _results.Add(passed);
            var failures = _results.AsEnumerable().Reverse().TakeWhile(r => !r).Count();
            var successes = _results.AsEnumerable().Reverse().TakeWhile(r => r).Count();
            if (Status != HealthStatus.Unhealthy && failures >= fall)
                MoveTo(HealthStatus.Unhealthy);
            else if (Status == HealthStatus.Unknown && successes >= 1)
                MoveTo(HealthStatus.Healthy);
            else if (Status == HealthStatus.Unhealthy && successes >= rise)
                MoveTo(HealthStatus.Healthy);
        }

        public void FailAtOnce()
        {
            if (Status == HealthStatus.Unhealthy)
                _results.Add(false);
            else
                MoveTo(HealthStatus.Unhealthy);
        }

        private void MoveTo(HealthStatus status)
        {
            Status = status;
            _results.Clear();
        }
    }
}
