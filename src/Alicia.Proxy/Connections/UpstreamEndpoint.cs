using System.Net;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Connections;

/// <summary>
/// How to reach one instance: its addresses as last resolved, each with connections of its own. One object per epoch, so that an instance that
/// came back never gets a connection to its predecessor.
/// </summary>
internal sealed class UpstreamEndpoint
{
    /// <summary>For code that picks without forwarding.</summary>
    public static readonly UpstreamEndpoint None = new(0, "", "http", "", 0);

    private readonly Lock _slotsLock = new();
    private AddressSlot[] _slots;
    private AddressSlot[] _turns;
    private int _next;
    private int _nextProbed;
    private int _slotIds;
    private int _lookingUp;
    private Task? _firstLookUp;

    public UpstreamEndpoint(long epoch, string instanceId, string scheme, string host, int port)
    {
        Epoch = epoch;
        InstanceId = instanceId;
        Host = host;
        TlsName = host;
        Port = port;
        IsTls = scheme == "https";
        IsLiteral = IPAddress.TryParse(host, out var literal);
        var bracketed = literal is { AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6 } ? $"[{host}]" : host;
        HostAndPort = port == (IsTls ? 443 : 80) ? bracketed : $"{bracketed}:{port}";
        Url = $"{scheme}://{bracketed}:{port}/";
        _slots = literal is null ? [] : [new AddressSlot(this, _slotIds++, literal)];
        _turns = _slots;
    }

    public long Epoch { get; }

    public string InstanceId { get; }

    /// <summary>Which HTTP version requests are sent in; a registration may change it in place.</summary>
    public UpstreamProtocol Protocol { get; set; }

    /// <summary>How long a connection may take to open, name resolution and TLS included.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>DNS name or IP literal without brackets.</summary>
    public string Host { get; }

    public int Port { get; }

    public bool IsTls { get; }

    /// <summary>True for HTTP/1.1 in clear text.</summary>
    public bool IsPlainHttp1 => !IsTls && Protocol == UpstreamProtocol.Http1;

    /// <summary>Whom to trust and what to show; null: the system's authorities, and nothing.</summary>
    public string? TlsProfile { get; private set; }

    /// <summary>Name that the instance's certificate must be for.</summary>
    public string TlsName { get; private set; }

    /// <summary>True when there is nothing to resolve.</summary>
    public bool IsLiteral { get; }

    /// <summary>The Host field that names the instance itself.</summary>
    public string HostAndPort { get; }

    /// <summary>The instance's URL, for documents and logs.</summary>
    public string Url { get; }

    /// <summary>Addresses in use; empty before the first resolution of a name.</summary>
    public ReadOnlySpan<AddressSlot> Slots => Volatile.Read(ref _slots);

    /// <summary>When a name was last looked up, as a <see cref="TimeProvider"/> timestamp; 0 for never.</summary>
    public long ResolvedAt { get; set; }

    /// <summary>True while the name does not resolve and the last addresses are kept.</summary>
    public bool IsStale { get; set; }

    /// <summary>The look-up that the first requests wait for: the one under way, one that failed and still counts, or a new one.</summary>
    public Task FirstLookUp(Func<Task> start, Func<UpstreamEndpoint, bool> failureCounts)
    {
        lock (_slotsLock)
        {
            if (_firstLookUp is { IsCompleted: false } || (_firstLookUp is { IsFaulted: true } && failureCounts(this)))
                return _firstLookUp;
            return _firstLookUp = Task.Run(start);
        }
    }

    /// <summary>Claims the look-up of the name; false while another is under way.</summary>
    public bool TryBeginLookUp() => Interlocked.CompareExchange(ref _lookingUp, 1, 0) == 0;

    public void EndLookUp() => Volatile.Write(ref _lookingUp, 0);

    /// <summary>The address for the next request: each in turn but those that are avoided. Null before the first resolution.</summary>
    public AddressSlot? NextSlot()
    {
        var slots = Volatile.Read(ref _turns);
        return slots.Length switch
        {
            0 => null,
            1 => slots[0],
            _ => slots[(int)((uint)Interlocked.Increment(ref _next) % (uint)slots.Length)],
        };
    }

    /// <summary>
    /// The address for the next probe: each in turn, those that requests avoid too. Apart from the requests' turns, which probes must not disturb. Null before the first
    /// resolution.
    /// </summary>
    public AddressSlot? NextProbed()
    {
        var slots = Volatile.Read(ref _slots);
        return slots.Length == 0 ? null : slots[(int)((uint)Interlocked.Increment(ref _nextProbed) % (uint)slots.Length)];
    }

    /// <summary>Takes over the result of a look-up. An address that stays keeps its slot, and so its open connections.</summary>
    public void Use(IReadOnlyList<IPAddress> addresses)
    {
        lock (_slotsLock)
        {
            var old = _slots;
            Volatile.Write(ref _slots, [.. addresses.Distinct().Select(a => Array.Find(old, s => s.Address.Equals(a)) ?? new AddressSlot(this, _slotIds++, a))]);
            Arrange_NeedsLock();
        }
    }

    /// <summary>Sets how TLS is done. A change counts for all requests from now on: open connections go on with what they carry and get nothing new.</summary>
    public void UseTls(string? profile, string? name)
    {
        name ??= Host;
        if (profile == TlsProfile && name == TlsName)
            return;
        (TlsProfile, TlsName) = (profile, name);
        if (IsTls)
            RenewConnections();
    }

    /// <summary>Gives every address a new slot, and with it new connections; the old ones close once they are idle.</summary>
    public void RenewConnections()
    {
        lock (_slotsLock)
        {
            foreach (var slot in _slots)
                slot.Readmission?.Dispose();
            Volatile.Write(ref _slots, [.. _slots.Select(s => new AddressSlot(this, _slotIds++, s.Address))]);
            Arrange_NeedsLock();
        }
    }

    /// <summary>
    /// Leaves an address out of the turns for a time, because it took no connection where another did. Requests that go by its slot would run over connections to
    /// that other one, and as long as those are busy nobody would notice that the address is back.
    /// </summary>
    public void Avoid(AddressSlot slot, TimeSpan duration, TimeProvider time)
    {
        lock (_slotsLock)
        {
            slot.Readmission?.Dispose();
            slot.Readmission = time.CreateTimer(_ => Readmit(slot), null, duration, Timeout.InfiniteTimeSpan);
            Arrange_NeedsLock();
        }
    }

    private void Readmit(AddressSlot slot)
    {
        lock (_slotsLock)
        {
            slot.Readmission?.Dispose();
            slot.Readmission = null;
            Arrange_NeedsLock();
        }
    }

    private void Arrange_NeedsLock()
    {
        AddressSlot[] turns = [.. _slots.Where(s => s.Readmission is null)];
        Volatile.Write(ref _turns, turns.Length > 0 ? turns : _slots);
    }
}

/// <summary>
/// One address of an instance. Its <see cref="Prefix"/> is a made-up authority that the HTTP client pools connections by; the connector knows what it stands for.
/// </summary>
internal sealed class AddressSlot(UpstreamEndpoint endpoint, int id, IPAddress address)
{
    public UpstreamEndpoint Endpoint { get; } = endpoint;

    public IPAddress Address { get; } = address;

    /// <summary>Address and port in words, for logs.</summary>
    public string Text { get; } = new IPEndPoint(address, endpoint.Port).ToString();

    private readonly string _plain = $"http://{Authority(endpoint.Epoch, id)}:{endpoint.Port}";
    private readonly string _secure = $"https://{Authority(endpoint.Epoch, id)}:{endpoint.Port}";

    /// <summary>
    /// Such as <c>http://42-0.upstream:8003</c>: epoch, slot, port. TLS is the connector's work, and http says so to the HTTP client; but HTTP/2 sends the scheme
    /// along, and servers refuse one that is not their transport's.
    /// </summary>
    public string Prefix => Endpoint is { IsTls: true, Protocol: UpstreamProtocol.Http2 } ? _secure : _plain;

    /// <summary>Set while the address is avoided. The endpoint's.</summary>
    public ITimer? Readmission { get; set; }

    /// <summary>Where a forwarder finds the connections to here that wait for a request; that forwarder's. A look-up by address would be another visit to memory that nobody has seen for a while.</summary>
    public ref object? Idle => ref _idle;

    private object? _idle;

    /// <summary>The host part of <see cref="Prefix"/>.</summary>
    public string Name { get; } = Authority(endpoint.Epoch, id);

    private static string Authority(long epoch, int id) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{epoch}-{id}.upstream");
}
