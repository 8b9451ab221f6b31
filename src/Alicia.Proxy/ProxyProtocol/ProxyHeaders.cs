using System.Buffers;
using System.Net;
using Alicia.Proxy.Configuration;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Alicia.Proxy.ProxyProtocol;

/// <summary>Why a connection to a listener of the PROXY protocol was cut off.</summary>
internal enum ProxyHeaderRefusal
{
    /// <summary>It comes from outside <c>ProxyProtocol:Trusted</c>.</summary>
    Untrusted,

    /// <summary>It begins with something else.</summary>
    Malformed,

    /// <summary>It ended before the header did.</summary>
    Missing,

    /// <summary>The header was not there within <c>ProxyProtocol:Timeout</c>.</summary>
    Timeout,
}

/// <summary>
/// Takes the PROXY header off connections before anything else reads them, and lets them go on as if they came from whom it names: in <c>X-Forwarded-For</c>, in logs and for
/// limits. Nobody outside the trusted networks is listened to.
/// </summary>
internal sealed class ProxyHeaders(CurrentConfiguration configuration, TimeProvider time)
{
    private readonly long[] _refused = new long[Enum.GetValues<ProxyHeaderRefusal>().Length];

    /// <summary>Connections cut off so, since start.</summary>
    public long Refused(ProxyHeaderRefusal reason) => Volatile.Read(ref _refused[(int)reason]);

    /// <summary>Has the connections of a listener begin with the header.</summary>
    public void Use(ListenOptions options) => options.Use(next => async connection =>
    {
        if (await TakeAsync(connection) is { } refusal)
        {
            Interlocked.Increment(ref _refused[(int)refusal]);
            connection.Abort(new ConnectionAbortedException("No PROXY header, or none from whom it would be taken."));
            return;
        }

        await next(connection);
    });

    private async Task<ProxyHeaderRefusal?> TakeAsync(ConnectionContext connection)
    {
        var settings = configuration.Value.ProxyProtocol;
        if (!IsTrusted(connection.RemoteEndPoint as IPEndPoint, settings))
            return ProxyHeaderRefusal.Untrusted;
        using var late = new CancellationTokenSource(settings.Timeout, time);
        var input = connection.Transport.Input;
        try
        {
            while (true)
            {
                var read = await input.ReadAsync(late.Token);
                var header = Read(read.Buffer);
                if (header.State == ProxyHeaderState.Complete)
                {
                    input.AdvanceTo(read.Buffer.GetPosition(header.Length));
                    if (header.Source is { } source)
                        connection.RemoteEndPoint = source;
                    return null;
                }

                input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                if (header.State == ProxyHeaderState.Malformed)
                    return ProxyHeaderRefusal.Malformed;
                if (read.IsCompleted)
                    return ProxyHeaderRefusal.Missing;
            }
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            return ProxyHeaderRefusal.Timeout;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ConnectionAbortedException)
        {
            return ProxyHeaderRefusal.Missing;
        }
    }

    private static ProxyHeaderResult Read(in ReadOnlySequence<byte> buffer)
    {
        if (buffer.IsSingleSegment)
            return ProxyHeader.Read(buffer.FirstSpan);
        var length = (int)Math.Min(buffer.Length, ProxyHeader.MaxLength);
        var copy = ArrayPool<byte>.Shared.Rent(length);
        buffer.Slice(0, length).CopyTo(copy);
        var result = ProxyHeader.Read(copy.AsSpan(0, length));
        ArrayPool<byte>.Shared.Return(copy);
        return result;
    }

    private static bool IsTrusted(IPEndPoint? remote, ProxyProtocolConfiguration settings)
    {
        if (remote is null)
            return false;
        var address = remote.Address.IsIPv4MappedToIPv6 ? remote.Address.MapToIPv4() : remote.Address;
        foreach (var network in settings.Trusted)
        {
            if (network.Contains(address))
                return true;
        }

        return false;
    }
}
