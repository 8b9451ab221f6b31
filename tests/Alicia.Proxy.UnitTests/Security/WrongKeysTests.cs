using System.Net;
using Alicia.Proxy.Security;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Security;

/// <summary>Wrong keys are answered late, and only so many wait.</summary>
public sealed class WrongKeysTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly WrongKeys _wrong;

    public WrongKeysTests() => _wrong = new WrongKeys(_time, NullLogger<WrongKeys>.Instance);

    [Fact]
    public async Task A_wrong_key_is_counted_and_its_answer_held_back()
    {
        var held = _wrong.HoldAsync(IPAddress.Loopback, CancellationToken.None);

        _time.Advance(WrongKeys.Pause - TimeSpan.FromMilliseconds(1));
        held.IsCompleted.Should().BeFalse();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        (await held.WaitAsync(TimeSpan.FromSeconds(10))).Should().BeTrue();
        _wrong.Count.Should().Be(1);
    }

    [Fact]
    public async Task More_than_may_wait_are_turned_away_at_once_until_others_are_through()
    {
        Task<bool>[] waiting = [.. Enumerable.Range(0, WrongKeys.MaxWaiting).Select(_ => _wrong.HoldAsync(null, CancellationToken.None))];
        var turnedAway = _wrong.HoldAsync(null, CancellationToken.None);

        turnedAway.IsCompletedSuccessfully.Should().BeTrue();
        (await turnedAway).Should().BeFalse();
        waiting.Should().OnlyContain(w => !w.IsCompleted);
        _time.Advance(WrongKeys.Pause);
        (await Task.WhenAll(waiting).WaitAsync(TimeSpan.FromSeconds(10))).Should().OnlyContain(w => w);
        _wrong.Count.Should().Be(WrongKeys.MaxWaiting + 1);
        _wrong.HoldAsync(null, CancellationToken.None).IsCompleted.Should().BeFalse("there is room again");
    }

    [Fact]
    public async Task Who_leaves_makes_room()
    {
        using var left = new CancellationTokenSource();
        Task<bool>[] waiting = [.. Enumerable.Range(0, WrongKeys.MaxWaiting).Select(_ => _wrong.HoldAsync(null, left.Token))];

        await left.CancelAsync();
        foreach (var gone in waiting)
            await gone.Invoking(w => w).Should().ThrowAsync<OperationCanceledException>();

        _wrong.HoldAsync(null, CancellationToken.None).IsCompleted.Should().BeFalse();
    }
}
