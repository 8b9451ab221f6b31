using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Connections;

/// <summary>
/// Looks a name up when it is registered, so that one which leads only where no instance may be is refused with a reason and not at its first request. It is the earlier of two
/// looks and not the one that protects: a name may change its answer, so every address is checked again when a connection is opened. That is why doubt lets a name pass:
/// one that does not resolve yet, because containers register before their name is known, and one whose name server is silent.
/// </summary>
/// <param name="registry">Has the rules in force.</param>
/// <param name="time">For the limits below.</param>
/// <param name="lookUp">Resolves a name; null asks the system.</param>
internal sealed class AddressScreen(ServiceRegistry registry, TimeProvider time, Func<string, CancellationToken, Task<IPAddress[]>>? lookUp = null)
{
    /// <summary>How long a registration waits for the name server.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>After a name server was silent nobody waits for it so long: a storm of announcements must not stand in line behind it.</summary>
    public static readonly TimeSpan Mistrust = TimeSpan.FromSeconds(10);

    /// <summary>Look-ups at once; each may hold a thread in the system's resolver for longer than anybody waits.</summary>
    private const int MaxLookUps = 4;

    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _lookUp = lookUp ?? Dns.GetHostAddressesAsync;
    private readonly SemaphoreSlim _turns = new(MaxLookUps);
    private long _silentAt;

    /// <summary>Says why an instance may not have this address, or null when it may, or when nobody knows yet.</summary>
    /// <param name="host">In its canonical spelling.</param>
    /// <param name="port">1–65535.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public async Task<string?> FaultAsync(string host, int port, CancellationToken cancellation)
    {
        if (IPAddress.TryParse(host, out _))
            return null;
        var silent = Volatile.Read(ref _silentAt);
        if (silent != 0 && time.GetElapsedTime(silent) < Mistrust)
            return null;
        IPAddress[] addresses;
        try
        {
            addresses = await LookUpInTurnAsync(host).WaitAsync(Patience, time, cancellation);
        }
        catch (TimeoutException)
        {
            Volatile.Write(ref _silentAt, time.GetTimestamp());
            return null;
        }
        catch (SocketException)
        {
            return null;
        }

        // One good address is enough: the others are left out when connections are opened. Many names also have a link-local or a public address beside the one that is meant.
        var rules = registry.Snapshot.Rules;
        return addresses.Length == 0 || addresses.Any(a => rules.Allows(a, port)) ? null
            : addresses.Any(a => rules.Own.Has(a, port)) ? $"'{host}' resolves to {addresses[0]}, and port {port} there is a listener of this proxy"
            : $"'{host}' resolves to {addresses[0]}, which is not inside the networks of Registry:AllowedNetworks (link-local addresses never are)";
    }

    private async Task<IPAddress[]> LookUpInTurnAsync(string host)
    {
        await _turns.WaitAsync();
        try
        {
            return await _lookUp(host, CancellationToken.None);
        }
        finally
        {
            _turns.Release();
        }
    }
}
