using System.Collections.Concurrent;
using System.Text;
using Alicia.Proxy.Direct;

namespace Alicia.Proxy.UnitTests.Direct;

/// <summary>Memory for answers is lent while something of an answer is there, to one at a time.</summary>
public sealed class ReceiveBuffersTests : PoolFixture, IDisposable
{
    private readonly FarSide _instance = new();

    public void Dispose() => _instance.Dispose();

    [Fact]
    public async Task A_connection_has_none_while_it_waits_for_an_answer_for_more_of_it_or_for_its_next_request()
    {
        var slot = Slot(1, _instance);
        var connection = await OpenAsync(slot);
        var far = await _instance.AcceptAsync();
        var receiving = connection.ReceiveAsync();
        receiving.IsCompleted.Should().BeFalse();
        connection.Buffer.Should().BeEmpty("nothing has come");

        await far.SendAsync("some"u8.ToArray());
        (await receiving).Should().Be(4);
        connection.Buffer.Should().HaveCount(ReceiveBuffers.Bytes);
        connection.Use(3);
        receiving = connection.ReceiveAsync();
        receiving.IsCompleted.Should().BeFalse();
        Encoding.ASCII.GetString(connection.Received).Should().Be("e", "of what was not used nothing is lost");

        await far.SendAsync("more"u8.ToArray());
        (await receiving).Should().Be(4);
        Encoding.ASCII.GetString(connection.Received).Should().Be("emore");
        connection.Use(5);
        receiving = connection.ReceiveAsync();
        connection.Buffer.Should().BeEmpty("all of it was used");

        await far.SendAsync("!"u8.ToArray());
        (await receiving).Should().Be(1);
        connection.Use(1);
        Keep(connection);
        connection.Buffer.Should().BeEmpty("it waits for its next request");
        Pools.Idle.Should().Be(1);
    }

    /// <summary>Otherwise what comes late to an answer would read another's.</summary>
    [Fact]
    public async Task With_the_memory_of_a_head_its_fields_are_gone()
    {
        var connection = await OpenAsync(Slot(1, _instance));
        var far = await _instance.AcceptAsync();
        var head = "HTTP/1.1 200 OK\r\nX-Secret: of one caller\r\nContent-Length: 7\r\n\r\n"u8.ToArray();
        await far.SendAsync(head);
        while (connection.Received.Length < head.Length)
            (await connection.ReceiveAsync()).Should().BePositive();
        ResponseParser.TryParse(connection.Buffer, connection.Start, head.Length, connection.Head).Should().BeTrue();
        connection.Head.Count.Should().Be(2);
        connection.Use(head.Length);

        _ = connection.ReceiveAsync();

        connection.Head.Count.Should().Be(0);
        connection.Head.Invoking(h => h.ValueOf(0)).Should().Throw<ArgumentOutOfRangeException>();
        (connection.Head.Status, connection.Head.ContentLength).Should().Be((200, 7L), "what was made of it stays");
    }

    [Fact]
    public async Task One_that_has_grown_is_not_lent_again()
    {
        var connection = await OpenAsync(Slot(1, _instance));
        var far = await _instance.AcceptAsync();
        var much = new byte[ReceiveBuffers.Bytes + 1];
        await far.SendAsync(much);
        while (connection.Received.Length < much.Length)
            (await connection.ReceiveAsync()).Should().BePositive();
        connection.Buffer.Length.Should().BeGreaterThan(ReceiveBuffers.Bytes);
        connection.Use(much.Length);
        Keep(connection);

        for (var i = 0; i < 100; i++)
            ReceiveBuffers.Rent().Should().HaveCount(ReceiveBuffers.Bytes);
    }

    /// <summary>Taken on one thread and given back on another, as answers do.</summary>
    [Fact]
    public async Task None_is_lent_to_two_at_once()
    {
        const int Turns = 20_000;
        var lent = new ConcurrentDictionary<byte[], bool>();
        var passed = new BlockingCollection<byte[]>(100);
        var twice = 0;
        var returning = Enumerable.Range(0, 2).Select(_ => Task.Factory.StartNew(
            () =>
            {
                foreach (var buffer in passed.GetConsumingEnumerable())
                {
                    lent.TryRemove(buffer, out var _);
                    ReceiveBuffers.Return(buffer);
                }
            },
            TaskCreationOptions.LongRunning)).ToArray();
        await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Factory.StartNew(
            () =>
            {
                for (var i = 0; i < Turns; i++)
                {
                    var buffer = ReceiveBuffers.Rent();
                    if (!lent.TryAdd(buffer, true))
                        Interlocked.Increment(ref twice);
                    passed.Add(buffer);
                }
            },
            TaskCreationOptions.LongRunning)));
        passed.CompleteAdding();
        await Task.WhenAll(returning);

        twice.Should().Be(0);
    }
}
