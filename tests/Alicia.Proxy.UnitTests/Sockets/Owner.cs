using System.Net.Sockets;
using Alicia.Proxy.Sockets;

namespace Alicia.Proxy.UnitTests.Sockets;

/// <summary>Counts what it is told.</summary>
internal sealed class Owner : ISocketOwner
{
    private int _ends;
    private int _failures;

    public Exception? Reason => null;

    public int Ends => Volatile.Read(ref _ends);

    public int Failures => Volatile.Read(ref _failures);

    public void InputEnded() => Interlocked.Increment(ref _ends);

    public void OutputFailed(SocketError error) => Interlocked.Increment(ref _failures);
}
