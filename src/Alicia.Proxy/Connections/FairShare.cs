using System.Runtime.CompilerServices;

namespace Alicia.Proxy.Connections;

/// <summary>
/// How much one conversation does in one go on a thread that other conversations wait for. A transfer whose both ends are faster than the proxy never has to wait for anything; without this it would keep
/// the thread that looks after the sockets until its last byte.
/// </summary>
internal struct FairShare
{
    /// <summary>Pieces in one go: of 16 to 64 KiB each, a fraction of a millisecond.</summary>
    private const int Pieces = 16;

    private int _taken;

    /// <summary>Goes on in the pool, behind what waits there.</summary>
    public static YieldAwaitable ToPool() => Task.Yield();

    /// <summary>Takes note of a piece.</summary>
    /// <param name="waited">Whether it had to be waited for: others had their turn.</param>
    /// <returns>True when it is time for <see cref="ToPool"/>.</returns>
    public bool IsUsedUp(bool waited)
    {
        _taken = waited ? 0 : _taken + 1;
        if (_taken < Pieces)
            return false;
        _taken = 0;
        return true;
    }
}
