namespace Alicia.Proxy.UnitTests.Sockets;

/// <summary>Closing while the system's queue of events looks at the same socket. A matter of microseconds, so many times: where the loop did not forget the socket first, one in a thousand stayed open on a busy machine.</summary>
public sealed class ClosingTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task The_peer_gets_the_end_at_once_whatever_the_loop_is_looking_at(int oneOfSeveralAtOnce)
    {
        _ = oneOfSeveralAtOnce;
        for (var i = 0; i < 700; i++)
        {
            var connection = new SocketConnectionTests();
            await connection.InitializeAsync();
            await connection.Bytes_that_nobody_wanted_do_not_cost_the_peer_its_answer();
            await connection.DisposeAsync();
        }
    }
}
