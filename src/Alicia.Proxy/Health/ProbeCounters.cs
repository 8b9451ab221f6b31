namespace Alicia.Proxy.Health;

/// <summary>Probes since start, by what came of them.</summary>
internal sealed class ProbeCounters
{
    private readonly long[] _failed = new long[Enum.GetValues<ProbeFailure>().Length];
    private long _passed;

    public long Passed => Volatile.Read(ref _passed);

    public long Failed(ProbeFailure failure) => Volatile.Read(ref _failed[(int)failure]);

    public void Count(ProbeResult result)
    {
        if (result.Failure is { } failure)
            Interlocked.Increment(ref _failed[(int)failure]);
        else
            Interlocked.Increment(ref _passed);
    }
}

/// <summary>How results of probes are written in events, logs and metrics.</summary>
internal static class ProbeNames
{
    public static string Of(ProbeFailure? failure) => failure switch
    {
        null => "probe_passed",
        ProbeFailure.Dns => "probe_dns",
        ProbeFailure.Prohibited => "probe_prohibited",
        ProbeFailure.Refused => "probe_refused",
        ProbeFailure.Tls => "probe_tls",
        ProbeFailure.Timeout => "probe_timeout",
        ProbeFailure.Reset => "probe_reset",
        ProbeFailure.Protocol => "probe_protocol",
        ProbeFailure.Status => "probe_status",
        ProbeFailure.Body => "probe_body",
        ProbeFailure.NotServing => "probe_not_serving",
        _ => throw new ArgumentOutOfRangeException(nameof(failure), failure, null),
    };
}
