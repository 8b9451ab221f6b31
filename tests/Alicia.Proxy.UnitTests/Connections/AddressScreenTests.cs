using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Connections;

/// <summary>What a name may resolve to when it is registered.</summary>
public sealed class AddressScreenTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _time = new();
    private readonly ServiceRegistry _registry;
    private int _asked;

    public AddressScreenTests() => _registry = new ServiceRegistry(new MemoryRegistryStore(), _time, NullLogger<ServiceRegistry>.Instance);

    public async Task InitializeAsync()
    {
        await _registry.LoadAsync(default);
        var own = new OwnListeners(_time);
        own.Set([IPEndPoint.Parse("127.0.0.1:8023")]);
        await _registry.SubmitAsync(new ApplyConfiguration(new RegistryRules { Own = own }, []), default);
    }

    public async Task DisposeAsync() => await _registry.DisposeAsync();

    [Theory]
    [InlineData("10.0.0.5", 80, null)]
    [InlineData("127.0.0.1", 8024, null)]
    [InlineData("127.0.0.1", 8023, "*listener of this proxy")]
    [InlineData("169.254.169.254", 80, "*169.254.169.254*link-local*")]
    [InlineData("fe80::1", 80, "*link-local*")]
    [InlineData("::ffff:169.254.169.254", 80, "*link-local*")]
    [InlineData("203.0.113.1", 80, "*Registry:AllowedNetworks*")]
    [InlineData("169.254.1.1 10.0.0.5", 80, null)]
    [InlineData("169.254.1.1 203.0.113.1", 80, "*169.254.1.1*")]
    public async Task A_name_is_refused_when_none_of_its_addresses_may_be_an_instance(string addresses, int port, string? fault)
    {
        var screen = Screen(() => Task.FromResult<IPAddress[]>([.. addresses.Split(' ').Select(IPAddress.Parse)]));

        var found = await screen.FaultAsync("tts.test", port, default);

        if (fault is null)
            found.Should().BeNull();
        else
            found.Should().Match(fault);
    }

    [Fact]
    public async Task A_name_that_does_not_resolve_yet_passes()
    {
        var screen = Screen(() => Task.FromException<IPAddress[]>(new SocketException((int)SocketError.HostNotFound)));
        (await screen.FaultAsync("tts.test", 80, default)).Should().BeNull();
    }

    [Fact]
    public async Task A_literal_is_not_looked_up()
    {
        (await Screen(() => throw new InvalidOperationException()).FaultAsync("10.0.0.5", 80, default)).Should().BeNull();
        _asked.Should().Be(0);
    }

    [Fact]
    public async Task A_silent_name_server_is_waited_for_once_and_asked_again_later()
    {
        var screen = Screen(() => new TaskCompletionSource<IPAddress[]>().Task);
        var first = screen.FaultAsync("tts.test", 80, default);
        first.IsCompleted.Should().BeFalse();
        _time.Advance(AddressScreen.Patience);
        (await first).Should().BeNull();

        (await screen.FaultAsync("other.test", 80, default)).Should().BeNull();
        _asked.Should().Be(1);

        _time.Advance(AddressScreen.Mistrust);
        var later = screen.FaultAsync("other.test", 80, default);
        _asked.Should().Be(2);
        _time.Advance(AddressScreen.Patience);
        (await later).Should().BeNull();
    }

    private AddressScreen Screen(Func<Task<IPAddress[]>> lookUp) => new(_registry, _time, (_, _) =>
    {
        _asked++;
        return lookUp();
    });
}
