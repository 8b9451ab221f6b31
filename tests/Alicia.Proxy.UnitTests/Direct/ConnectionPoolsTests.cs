using System.Collections.Concurrent;
using System.Text;
using Alicia.Proxy.Direct;

namespace Alicia.Proxy.UnitTests.Direct;

/// <summary>Which connections to instances are used again, and that none is forgotten.</summary>
public sealed class ConnectionPoolsTests : PoolFixture, IDisposable
{
    private readonly FarSide _instance = new();

    public void Dispose() => _instance.Dispose();

    [Fact]
    public async Task The_connection_kept_last_is_taken_first()
    {
        var slot = Slot(1, _instance);
        var kept = await KeptAsync(slot, 3);
        await _instance.AcceptAsync();
        await _instance.AcceptAsync();
        var far = await _instance.AcceptAsync();

        Pools.Idle.Should().Be(3);
        Taken(slot).Should().BeSameAs(kept[2]);
        Taken(slot).Should().BeSameAs(kept[1]);
        await ConverseAsync(kept[2], far);
        Keep(kept[2]);
        Taken(slot).Should().BeSameAs(kept[2]);
        Taken(slot).Should().BeSameAs(kept[0]);
        Pools.TryTake(slot, out _).Should().BeFalse();
        Open.Should().Be(3, "none of those in use was closed");
    }

    [Fact]
    public async Task A_connection_that_is_used_again_brings_its_next_answer_whole()
    {
        var slot = Slot(1, _instance);
        var connection = await OpenAsync(slot);
        var far = await _instance.AcceptAsync();
        foreach (var text in new[] { "the first", "the second" })
        {
            // What was begun while the connection waited gets what comes after it was taken.
            await far.SendAsync(Encoding.ASCII.GetBytes(text));
            while (connection.Received.Length < text.Length)
                (await connection.ReceiveAsync()).Should().BePositive();
            Encoding.ASCII.GetString(connection.Received).Should().Be(text);
            connection.Use(text.Length);
            Keep(connection);
            Taken(slot).Should().BeSameAs(connection);
            connection.Begin(Patience);
        }
    }

    [Fact]
    public async Task Every_address_has_its_own()
    {
        var (one, two) = (Slot(1, _instance), Slot(2, _instance));
        await KeptAsync(one, 1);

        Pools.TryTake(two, out _).Should().BeFalse();
        Pools.TryTake(one, out _).Should().BeTrue();
    }

    [Theory]
    [InlineData("the end")]
    [InlineData("bytes that nobody asked for")]
    public async Task One_on_which_something_came_while_it_waited_is_not_used_again(string what)
    {
        var slot = Slot(1, _instance);
        var kept = await KeptAsync(slot, 2);
        await _instance.AcceptAsync();
        var far = await _instance.AcceptAsync();
        if (what == "the end")
            far.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        else
            await far.SendAsync(Encoding.ASCII.GetBytes("HTTP/1.1 408 Request Timeout\r\n\r\n"));
        await Until($"{what} is seen", () => !kept[1].IsQuiet);

        Taken(slot).Should().BeSameAs(kept[0], "the other one came later, but is of no more use");
        await FarSide.ShouldEndAsync(far);
        Open.Should().Be(1);
    }

    [Fact]
    public async Task One_that_something_is_left_on_is_not_kept()
    {
        var slot = Slot(1, _instance);
        var connection = await OpenAsync(slot);
        var far = await _instance.AcceptAsync();
        await far.SendAsync("more than the answer"u8.ToArray());
        (await connection.ReceiveAsync()).Should().BePositive();
        connection.Use(4);

        Keep(connection);

        Pools.TryTake(slot, out _).Should().BeFalse();
        Open.Should().Be(0);
    }

    [Fact]
    public async Task One_that_was_given_up_is_closed_and_says_so()
    {
        var connection = await OpenAsync(Slot(1, _instance));
        var far = await _instance.AcceptAsync();
        connection.Abort();

        connection.Conclude().Should().BeFalse();
        (await connection.ReceiveAsync()).Should().Be(-1);
        await FarSide.ShouldEndAsync(far);
        Open.Should().Be(0);
    }

    [Fact]
    public async Task One_that_waited_as_long_as_instances_keep_theirs_is_not_used_again()
    {
        var slot = Slot(1, _instance);
        // Between two sweeps, which would have the answer first.
        Time.Advance(TimeSpan.FromMilliseconds(500));
        var connection = (await KeptAsync(slot, 1))[0];
        var far = await _instance.AcceptAsync();
        Time.Advance(ConnectionPools.IdleTimeout - TimeSpan.FromTicks(1));
        Taken(slot).Should().BeSameAs(connection);

        await ConverseAsync(connection, far);
        Time.Advance(TimeSpan.FromTicks(1));
        Keep(connection);
        Time.Advance(ConnectionPools.IdleTimeout - TimeSpan.FromMilliseconds(500));
        Time.Advance(TimeSpan.FromMilliseconds(500));

        Pools.Idle.Should().Be(1);
        Pools.TryTake(slot, out _).Should().BeFalse();
        (Pools.Idle, Open).Should().Be((0, 0));
    }

    [Fact]
    public async Task Those_that_nobody_takes_are_closed_when_their_time_is_up()
    {
        var slot = Slot(1, _instance);
        await KeptAsync(slot, 2);
        var far = await _instance.AcceptAsync();
        Time.Advance(TimeSpan.FromSeconds(2));
        await KeptAsync(slot, 1);

        Time.Advance(TimeSpan.FromSeconds(2));
        Pools.Idle.Should().Be(1, "two of them have waited for four seconds, one for two");
        await FarSide.ShouldEndAsync(far);
        Time.Advance(TimeSpan.FromSeconds(2));
        (Pools.Idle, Open).Should().Be((0, 0));
    }

    [Fact]
    public async Task One_that_its_instance_closed_is_closed_though_nobody_asks_for_it()
    {
        var slot = Slot(1, _instance);
        var kept = await KeptAsync(slot, 2);
        (await _instance.AcceptAsync()).Dispose();
        await Until("the end is seen", () => !kept[0].IsQuiet);

        Time.Advance(TimeSpan.FromSeconds(1));

        (Pools.Idle, Open).Should().Be((1, 1));
        Taken(slot).Should().BeSameAs(kept[1]);
    }

    [Fact]
    public async Task So_many_are_kept_for_an_address_and_the_rest_of_a_burst_is_closed()
    {
        var (slot, other) = (Slot(1, _instance), Slot(2, _instance));
        await KeptAsync(slot, IdleConnections.Most + 3);
        await KeptAsync(other, 1);

        (Pools.Idle, Open).Should().Be((IdleConnections.Most + 1, IdleConnections.Most + 1));
    }

    [Fact]
    public async Task When_an_instance_has_left_its_connections_are_closed_at_once_and_nobody_else_s()
    {
        var (gone, other) = (Slot(1, _instance), Slot(2, _instance));
        await KeptAsync(gone, 2);
        var far = await _instance.AcceptAsync();
        await KeptAsync(other, 1);

        Endpoints.Forget(1);

        await FarSide.ShouldEndAsync(far);
        (Pools.Idle, Open).Should().Be((1, 1));
        Pools.TryTake(gone, out _).Should().BeFalse();
        Pools.TryTake(other, out _).Should().BeTrue();
    }

    [Fact]
    public async Task A_connection_that_is_kept_after_its_instance_has_left_lasts_no_longer_than_others()
    {
        var slot = Slot(1, _instance);
        var late = await OpenAsync(slot);
        Endpoints.Forget(1);

        Keep(late);
        Time.Advance(ConnectionPools.IdleTimeout);

        (Pools.Idle, Open).Should().Be((0, 0));
    }

    [Fact]
    public async Task At_the_end_all_are_closed_and_none_is_kept_any_more()
    {
        var slot = Slot(1, _instance);
        await KeptAsync(slot, 2);
        var late = await OpenAsync(slot);

        Pools.Dispose();
        (Pools.Idle, Open).Should().Be((0, 1));

        Keep(late);
        (Pools.Idle, Open).Should().Be((0, 0));
    }

    [Fact]
    public async Task Whoever_takes_keeps_and_sweeps_at_once_no_connection_is_in_two_hands_or_in_none()
    {
        const int Hands = 8;
        const int Turns = 300;
        var slots = new[] { Slot(1, _instance), Slot(2, _instance), Slot(3, _instance) };
        var inUse = new ConcurrentDictionary<UpstreamConnection, bool>();
        var reused = 0;
        using var echoing = new CancellationTokenSource();
        var echo = _instance.EchoAsync(echoing.Token);
        await Task.WhenAll(Enumerable.Range(0, Hands).Select(hand => Task.Run(async () =>
        {
            var random = new Random(hand);
            for (var turn = 0; turn < Turns; turn++)
            {
                var slot = slots[random.Next(slots.Length)];
                if (Pools.TryTake(slot, out var connection))
                    Interlocked.Increment(ref reused);
                else
                    connection = await Pools.OpenAsync(slot, default);
                inUse.TryAdd(connection, true).Should().BeTrue("nobody else has it");
                connection.Slot.Should().BeSameAs(slot);
                connection.Begin(Patience);
                (await connection.SendFirstAsync("?"u8.ToArray())).Should().Be(FirstSend.Sent);
                (await connection.ReceiveAsync()).Should().Be(1);
                connection.Use(1);
                if (random.Next(10) == 0)
                    Time.Advance(TimeSpan.FromMilliseconds(500));
                // As by an instance that leaves while requests to it end.
                if (random.Next(40) == 0)
                    Endpoints.Forget(3);
                inUse.TryRemove(connection, out _);
                if (random.Next(10) > 0 && connection.Conclude())
                    Pools.Keep(connection);
                else
                    connection.Dispose();
            }
        })));

        await echoing.CancelAsync();
        await echo;

        reused.Should().BePositive();
        Open.Should().Be(Pools.Idle, "what is open waits in a pool");
        Time.Advance(ConnectionPools.IdleTimeout);
        (Pools.Idle, Open).Should().Be((0, 0));
    }

    [Fact]
    public async Task A_connection_that_comes_back_in_the_middle_of_a_sweep_is_kept()
    {
        var slot = Slot(1, _instance);
        var connection = (await KeptAsync(slot, 1))[0];
        var far = await _instance.AcceptAsync();
        Taken(slot).Should().BeSameAs(connection);
        await ConverseAsync(connection, far);

        // As far as a sweep has come when it has found the pool empty and not yet taken it out.
        ((IdleConnections)slot.Idle!).Close();
        Keep(connection);

        Taken(slot).Should().BeSameAs(connection);
        Open.Should().Be(1);
    }

    [Fact]
    public async Task A_pool_that_is_in_use_outlives_a_sweep_that_finds_it_empty()
    {
        var slot = Slot(1, _instance);
        await KeptAsync(slot, 1);
        using var connection = Taken(slot);
        var pool = slot.Idle;

        Time.Advance(TimeSpan.FromSeconds(1));
        slot.Idle.Should().BeSameAs(pool);
        Time.Advance(TimeSpan.FromSeconds(1));
        slot.Idle.Should().BeNull("nothing was kept since the sweep before");
    }

    private UpstreamConnection Taken(Alicia.Proxy.Connections.AddressSlot slot)
    {
        Pools.TryTake(slot, out var connection).Should().BeTrue();
        return connection!;
    }
}
