using Alicia.Proxy.Live;

namespace Alicia.Proxy.UnitTests.Live;

public sealed class LiveTableTests
{
    [Fact]
    public void A_service_that_left_counts_for_a_window_and_is_then_folded_into_the_totals()
    {
        var table = new LiveTable();
        var live = table.GetOrAdd("tts");
        live.CountRequest();
        live.CountFailure();

        table.Retire("tts");
        table.Services.Should().ContainSingle().Which.Should().BeSameAs(live);
        for (var i = 0; i <= RecentWindow.Slots; i++)
            table.Advance();

        table.Services.Should().BeEmpty();
        table.Gone.Should().Be(new ServiceTotals(1, 1, 0, 0));
    }

    [Fact]
    public void A_service_that_left_with_a_request_in_flight_is_kept_until_that_is_counted_to_the_end()
    {
        var table = new LiveTable();
        var live = table.GetOrAdd("tts");
        live.CountRequest();
        live.Enter();
        table.Retire("tts");
        for (var i = 0; i < 3 * RecentWindow.Slots; i++)
            table.Advance();
        table.Services.Should().ContainSingle();

        live.CountFailure();
        live.Leave();
        table.Advance();

        table.Services.Should().BeEmpty();
        table.Gone.Failed.Should().Be(1);
    }

    [Fact]
    public void The_same_name_registered_again_counts_from_zero_and_the_old_ones_totals_are_not_lost()
    {
        var table = new LiveTable();
        table.GetOrAdd("tts").CountRequest();
        table.Retire("tts");

        var again = table.GetOrAdd("tts");

        again.TotalRequests.Should().Be(0);
        table.Services.Sum(s => s.TotalRequests).Should().Be(1);
    }

    [Fact]
    public void Reading_what_is_not_there_keeps_nothing()
    {
        var table = new LiveTable();

        table.Read(7).TotalRequests.Should().Be(0);
        table.Read("tts").TotalRequests.Should().Be(0);

        table.TryGet(7, out _).Should().BeFalse();
        table.Services.Should().BeEmpty();
    }
}
