using System.Net;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Security;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Security;

/// <summary>Wrong credentials are answered late, each address for itself, and what is remembered of them is bounded.</summary>
public sealed class WrongCredentialsTests
{
    private static readonly IPAddress One = IPAddress.Parse("192.0.2.1");
    private static readonly IPAddress Two = IPAddress.Parse("192.0.2.2");

    private readonly FakeTimeProvider _time = new();
    private readonly WrongCredentials _wrong;

    public WrongCredentialsTests() => _wrong = new WrongCredentials(_time, NullLogger<WrongCredentials>.Instance);

    [Fact]
    public async Task The_first_few_are_answered_at_once_and_the_next_waits()
    {
        for (var i = 0; i < WrongCredentials.Free; i++)
            Hold(One).IsCompletedSuccessfully.Should().BeTrue();

        var held = Hold(One);
        _time.Advance(WrongCredentials.Pause - TimeSpan.FromMilliseconds(1));
        held.IsCompleted.Should().BeFalse();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        (await held.WaitAsync(TimeSpan.FromSeconds(10))).Should().BeTrue();
    }

    [Fact]
    public void Signing_in_always_waits() => Hold(One, always: true).IsCompleted.Should().BeFalse();

    [Fact]
    public async Task More_than_may_wait_are_turned_away_at_once_until_others_are_through()
    {
        Task<bool>[] waiting = [.. Enumerable.Range(0, WrongCredentials.MaxWaiting).Select(_ => Hold(One, always: true))];
        var turnedAway = Hold(One, always: true);

        turnedAway.IsCompletedSuccessfully.Should().BeTrue();
        (await turnedAway).Should().BeFalse();
        waiting.Should().OnlyContain(w => !w.IsCompleted);
        _time.Advance(WrongCredentials.Pause);
        (await Task.WhenAll(waiting).WaitAsync(TimeSpan.FromSeconds(10))).Should().OnlyContain(w => w);
        Hold(One, always: true).IsCompleted.Should().BeFalse("there is room again");
    }

    [Fact]
    public void One_address_slows_down_no_other()
    {
        for (var i = 0; i < 1000; i++)
            _ = Hold(One);

        Hold(Two).IsCompletedSuccessfully.Should().BeTrue();
    }

    [Fact]
    public async Task Who_leaves_makes_room()
    {
        using var left = new CancellationTokenSource();
        Task<bool>[] waiting = [.. Enumerable.Range(0, WrongCredentials.MaxWaiting).Select(_ => _wrong.HoldAsync(One, true, left.Token).AsTask())];

        await left.CancelAsync();
        foreach (var gone in waiting)
            await gone.Invoking(w => w).Should().ThrowAsync<OperationCanceledException>();

        Hold(One, always: true).IsCompleted.Should().BeFalse();
    }

    [Fact]
    public void An_address_that_was_quiet_is_forgotten()
    {
        for (var i = 0; i <= WrongCredentials.Free; i++)
            _ = Hold(One);
        Hold(One).IsCompleted.Should().BeFalse();

        _time.Advance(WrongCredentials.Pause);
        _time.Advance(WrongCredentials.Window + TimeSpan.FromSeconds(1));

        SpinWait.SpinUntil(() => Hold(One).IsCompletedSuccessfully, TimeSpan.FromSeconds(10)).Should().BeTrue();
    }

    [Fact]
    public void The_table_is_bounded_and_makes_room_when_addresses_are_quiet()
    {
        for (var i = 0; i < WrongCredentials.MaxAddresses * 2; i++)
            _ = Hold(new IPAddress(0x0a000000 + i));
        _wrong.Addresses.Should().Be(WrongCredentials.MaxAddresses);

        _time.Advance(WrongCredentials.Pause + WrongCredentials.Window + TimeSpan.FromSeconds(1));
        SpinWait.SpinUntil(() =>
        {
            _ = Hold(One);
            return _wrong.Addresses < 10;
        }, TimeSpan.FromSeconds(10)).Should().BeTrue();
    }

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1")]
    [InlineData("::ffff:192.0.2.1", "192.0.2.1")]
    [InlineData("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")]
    [InlineData("fe80::1%3", "fe80::")]
    public void A_customer_s_network_counts_as_one(string caller, string source) => NetworkRules.CustomerOf(IPAddress.Parse(caller)).ToString().Should().Be(source);

    [Fact]
    public void A_flood_of_guesses_is_no_flood_of_lines()
    {
        var log = new Lines();
        var wrong = new WrongCredentials(_time, log);
        for (var i = 0; i < 10_000; i++)
            _ = wrong.HoldAsync(new IPAddress(0x0a000000 + (i % 500)), false, CancellationToken.None);

        log.Count.Should().BeInRange(1, 30);
    }

    private Task<bool> Hold(IPAddress address, bool always = false) => _wrong.HoldAsync(address, always, CancellationToken.None).AsTask();

    private sealed class Lines : ILogger<WrongCredentials>
    {
        public int Count { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Count++;
    }
}
