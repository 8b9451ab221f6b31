using System.Net;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Security;

/// <summary>
/// Makes whoever tries credentials wait for the answer, each address for itself: a few wrong ones are answered at once, because programs are restarted with old keys; then each
/// waits, and only so many at once. Waiting costs a timer and no thread. A right credential never waits, so nobody is locked out by somebody else's guesses, and the table is
/// bounded: addresses beyond it share one entry.
/// </summary>
internal sealed partial class WrongCredentials(TimeProvider time, ILogger<WrongCredentials> logger)
{
    /// <summary>Wrong credentials of one address in one <see cref="Window"/> that are answered at once.</summary>
    public const int Free = 5;

    /// <summary>Those of one address that wait at once: guesses get no faster than so many in one <see cref="Pause"/>.</summary>
    public const int MaxWaiting = 16;

    /// <summary>Addresses that are told apart.</summary>
    public const int MaxAddresses = 4096;

    /// <summary>How long each waits.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>After so long without a wrong credential an address is forgotten.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    /// <summary>Log lines of all addresses in one <see cref="Window"/>: a flood of guesses is no flood of lines.</summary>
    private const int MaxLines = 30;

    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, Guesses> _byAddress = [];
    private readonly Guesses _others = new();
    private long _linesSince;
    private int _lines;

    /// <summary>Addresses that are remembered now.</summary>
    public int Addresses
    {
        get
        {
            lock (_lock)
                return _byAddress.Count;
        }
    }

    /// <summary>Notes a wrong credential and holds its answer back.</summary>
    /// <param name="caller">Where from.</param>
    /// <param name="always">True to hold back the first ones too: a person signing in does not mind.</param>
    /// <param name="cancellation">The caller has left.</param>
    /// <returns>False, at once, when too many of this address wait already.</returns>
    public async ValueTask<bool> HoldAsync(IPAddress? caller, bool always, CancellationToken cancellation)
    {
        Guesses guesses;
        bool waits, logs;
        lock (_lock)
        {
            guesses = Find_NeedsLock(NetworkRules.CustomerOf(caller));
            guesses.Count++;
            guesses.LastAt = time.GetTimestamp();
            waits = always || guesses.Count > Free;
            if (waits && guesses.Waiting >= MaxWaiting)
                return false;
            guesses.Waiting += waits ? 1 : 0;
            // The first, and then each tenfold.
            logs = guesses.Count is 1 or 10 or 100 or 1000 && Line_NeedsLock();
        }

        if (logs)
            LogWrong(logger, caller, guesses.Count);
        if (!waits)
            return true;
        try
        {
            await Task.Delay(Pause, time, cancellation);
            return true;
        }
        finally
        {
            lock (_lock)
                guesses.Waiting--;
        }
    }

    private Guesses Find_NeedsLock(IPAddress source)
    {
        if (_byAddress.TryGetValue(source, out var known))
        {
            if (known.Waiting == 0 && time.GetElapsedTime(known.LastAt) > Window)
                known.Count = 0;
            return known;
        }

        if (_byAddress.Count >= MaxAddresses)
        {
            foreach (var (address, guesses) in _byAddress)
            {
                if (guesses.Waiting == 0 && time.GetElapsedTime(guesses.LastAt) > Window)
                    _byAddress.Remove(address);
            }
        }

        if (_byAddress.Count >= MaxAddresses)
            return _others;
        return _byAddress[source] = new Guesses();
    }

    private bool Line_NeedsLock()
    {
        if (time.GetElapsedTime(_linesSince) > Window)
            (_linesSince, _lines) = (time.GetTimestamp(), 0);
        return _lines++ < MaxLines;
    }

    [LoggerMessage(LogLevel.Warning, "Management was asked from {Address} with a credential that is not valid, {Count} times within the last minutes")]
    private static partial void LogWrong(ILogger logger, IPAddress? address, int count);

    private sealed class Guesses
    {
        public int Count { get; set; }

        public int Waiting { get; set; }

        public long LastAt { get; set; }
    }
}
