using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Direct;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Direct;

/// <summary>Pools over an empty registry with the built-in rules, which let connections to loopback through; their clock stands still until a test moves it.</summary>
public abstract class PoolFixture : IAsyncLifetime
{
    /// <summary>For connections and exchanges, by the clock that tests move: none of them is to end one.</summary>
    private protected static readonly TimeSpan Patience = TimeSpan.FromDays(20);


    private readonly ServiceRegistry _registry = new(new MemoryRegistryStore(), TimeProvider.System, NullLogger<ServiceRegistry>.Instance);
    private readonly UpstreamConnector _connector;

    protected PoolFixture()
    {
        _connector = new UpstreamConnector(Endpoints, _registry, Time);
        Pools = new ConnectionPools(_connector, Endpoints, Time);
    }

    private protected FakeTimeProvider Time { get; } = new();

    private protected EndpointTable Endpoints { get; } = new();

    private protected ConnectionPools Pools { get; }

    /// <summary>Connections to instances that nobody has closed.</summary>
    private protected long Open => _connector.Connections.Open;

    public async Task InitializeAsync() => await _registry.LoadAsync(default);

    public async Task DisposeAsync()
    {
        Pools.Dispose();
        await _registry.DisposeAsync();
    }

    private protected AddressSlot Slot(long epoch, FarSide instance) => Endpoints.GetOrAdd(
        new Instance { Epoch = epoch, ServiceName = "s", InstanceId = $"i{epoch}", Host = "127.0.0.1", Port = instance.Port, Scheme = "http", RegisteredAt = DateTimeOffset.UnixEpoch, Source = RegistrationSource.Api },
        Patience).NextSlot()!;

    /// <summary>Has an exchange on a connection that was taken: one byte comes back.</summary>
    private protected static async Task ConverseAsync(UpstreamConnection connection, Socket far)
    {
        connection.Begin(Patience);
        await far.SendAsync("x"u8.ToArray());
        (await connection.ReceiveAsync()).Should().Be(1);
        connection.Use(1);
    }

    /// <summary>Opens a connection as an exchange does.</summary>
    private protected async Task<UpstreamConnection> OpenAsync(AddressSlot slot)
    {
        var connection = await Pools.OpenAsync(slot, default);
        connection.Begin(Patience);
        return connection;
    }

    /// <summary>Ends an exchange that went well, and keeps its connection.</summary>
    private protected void Keep(UpstreamConnection connection)
    {
        connection.Conclude().Should().BeTrue();
        Pools.Keep(connection);
    }

    /// <summary>Opens and keeps so many, all at once open.</summary>
    private protected async Task<UpstreamConnection[]> KeptAsync(AddressSlot slot, int count)
    {
        var all = new UpstreamConnection[count];
        for (var i = 0; i < count; i++)
            all[i] = await OpenAsync(slot);
        foreach (var connection in all)
            Keep(connection);
        return all;
    }

    private protected static async Task Until(string condition, Func<bool> holds)
    {
        using var late = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!holds())
        {
            late.IsCancellationRequested.Should().BeFalse(condition);
            await Task.Delay(1);
        }
    }
}

/// <summary>An instance of which the test holds the ends of its connections, in the order in which they were opened.</summary>
internal sealed class FarSide : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<Socket> _accepted = [];

    public FarSide() => _listener.Start(backlog: 2000);

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public async Task<Socket> AcceptAsync()
    {
        var socket = await _listener.AcceptSocketAsync();
        _accepted.Add(socket);
        return socket;
    }

    /// <summary>Takes every connection and sends back what comes, until it is cancelled.</summary>
    public async Task EchoAsync(CancellationToken cancellation)
    {
        try
        {
            while (true)
                _ = EchoAsync(await _listener.AcceptSocketAsync(cancellation));
        }
        catch (OperationCanceledException)
        {
            // Enough.
        }
    }

    private static async Task EchoAsync(Socket socket)
    {
        using (socket)
        {
            try
            {
                var buffer = new byte[16];
                for (int read; (read = await socket.ReceiveAsync(buffer)) > 0;)
                    await socket.SendAsync(buffer.AsMemory(0, read));
            }
            catch (SocketException)
            {
                // Ended by the other side, as it likes.
            }
        }
    }

    /// <summary>Waits for the end of a connection, which must come before anything else; where bytes were left unread it is a reset.</summary>
    public static async Task ShouldEndAsync(Socket socket)
    {
        using var late = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        try
        {
            (await socket.ReceiveAsync(new byte[1], late.Token)).Should().Be(0);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // As well.
        }
    }

    public void Dispose()
    {
        foreach (var socket in _accepted)
            socket.Dispose();
        _listener.Dispose();
    }
}
