using Alicia.Proxy.Circuit;
using Alicia.Proxy.Live;
using BenchmarkDotNet.Attributes;

namespace Alicia.Proxy.Benchmarks.Micro;

/// <summary>What a circuit that is closed costs a request: its report at the response head, and the look at trials on the way in.</summary>
public class GateBenchmarks
{
    private readonly InstanceGate _quiet = InstanceGate.Detached(new InstanceLive(1) { MaxConnections = 100 });
    private readonly InstanceGate _failing = InstanceGate.Detached(new InstanceLive(2) { MaxConnections = 100 });

    [Benchmark]
    public void SucceededOnAClosedCircuit() => _quiet.Succeeded(0);

    /// <summary>One failure, then the success that starts the count again: the way with the lock, and the timer that is not set.</summary>
    [Benchmark]
    public void FailedAndSucceeded()
    {
        _failing.Failed(AttemptFailure.Timeout, 0, 0);
        _failing.Succeeded(0);
    }
}
