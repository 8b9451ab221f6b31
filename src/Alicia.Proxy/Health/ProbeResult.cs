namespace Alicia.Proxy.Health;

/// <summary>Why a probe failed, in the order in which a probe goes.</summary>
internal enum ProbeFailure
{
    /// <summary>The name does not resolve.</summary>
    Dns,

    /// <summary>The address is outside the allowed networks; nothing was sent there.</summary>
    Prohibited,

    /// <summary>Nobody listens, or there is no way there.</summary>
    Refused,

    /// <summary>The handshake failed, or the certificate is not good.</summary>
    Tls,

    /// <summary>The whole of the probe, look-up included, took longer than it may.</summary>
    Timeout,

    /// <summary>The connection ended before the answer was there.</summary>
    Reset,

    /// <summary>What came back is not the protocol.</summary>
    Protocol,

    /// <summary>An answer with a status that does not count as alive.</summary>
    Status,

    /// <summary>The text is not in the answer.</summary>
    Body,

    /// <summary>A gRPC health service that says anything but SERVING.</summary>
    NotServing,
}

/// <summary>What came of one probe.</summary>
/// <param name="Failure">Null when it passed.</param>
/// <param name="Detail">One line for people: the status, or what went wrong. Printable, at most 300 characters.</param>
internal sealed record ProbeResult(ProbeFailure? Failure, string Detail)
{
    private const int MaxDetail = 300;

    public bool Passed => Failure is null;

    /// <summary>From the beginning of the look-up to the verdict.</summary>
    public TimeSpan Elapsed { get; init; }

    public static ProbeResult Pass(string detail) => new(null, detail);

    /// <param name="failure">Kind.</param>
    /// <param name="detail">May quote what the instance sent: it is cut, and loses its control characters.</param>
    public static ProbeResult Fail(ProbeFailure failure, string detail)
    {
        var line = detail.Length > MaxDetail ? detail[..MaxDetail] : detail;
        return new ProbeResult(failure, string.Create(line.Length, line, static (to, from) =>
        {
            for (var i = 0; i < from.Length; i++)
                to[i] = char.IsControl(from[i]) ? ' ' : from[i];
        }));
    }
}
