using System.Net.Sockets;

namespace Alicia.Proxy.Sockets;

/// <summary>Whose a socket's two directions are.</summary>
internal interface ISocketOwner
{
    /// <summary>Why the connection was ended here, if it was; what a reader is told in place of what the socket says.</summary>
    Exception? Reason { get; }

    /// <summary>All that the peer has said was read, and its end with it, or nothing can be read any more.</summary>
    void InputEnded();

    /// <summary>Nothing can be sent any more. May be called more than once.</summary>
    void OutputFailed(SocketError error);
}
