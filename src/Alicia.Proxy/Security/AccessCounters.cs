namespace Alicia.Proxy.Security;

/// <summary>Why management turned a request away.</summary>
internal enum AccessRefusal
{
    /// <summary>It brought nothing.</summary>
    NoCredential,

    /// <summary>What it brought is not valid, or not any more.</summary>
    WrongCredential,

    /// <summary>The caller is known and may not do this.</summary>
    Forbidden,

    /// <summary>It came from a page of another origin, by another host name, or with a body that a browser can be made to send.</summary>
    Foreign,

    /// <summary>Too many wrong credentials of the same address wait.</summary>
    TurnedAway,

    /// <summary>The issuer's keys could not be fetched.</summary>
    Unverifiable,
}

/// <summary>How often management turned requests away, by reason, since start.</summary>
internal sealed class AccessCounters
{
    private readonly long[] _counts = new long[Enum.GetValues<AccessRefusal>().Length];

    public void Count(AccessRefusal reason) => Interlocked.Increment(ref _counts[(int)reason]);

    public long Read(AccessRefusal reason) => Volatile.Read(ref _counts[(int)reason]);

    /// <summary>The metric's label.</summary>
    public static string Name(AccessRefusal reason) => reason switch
    {
        AccessRefusal.NoCredential => "no_credential",
        AccessRefusal.WrongCredential => "wrong_credential",
        AccessRefusal.Forbidden => "forbidden",
        AccessRefusal.Foreign => "foreign",
        AccessRefusal.TurnedAway => "turned_away",
        AccessRefusal.Unverifiable => "unverifiable",
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, null),
    };
}
