using Alicia.Proxy.Connections;

namespace Alicia.Proxy.Direct;

/// <summary>A connection that had just been opened took not one byte of the request.</summary>
internal sealed class ClosedBeforeSendingException(AddressSlot slot)
    : UnsentException($"{slot.Endpoint.Url} closed the connection before anything was sent.", null);
