using Alicia.Proxy.Live;
using BenchmarkDotNet.Attributes;

namespace Alicia.Proxy.Benchmarks.Micro;

/// <summary>Taking and giving back one slot, alone and while another thread does nothing else on the same instance.</summary>
public class ReservationBenchmarks
{
    private readonly InstanceLive _live = new(1) { MaxConnections = 100 };
    private Thread? _rival;
    private volatile bool _stop;

    [Params(false, true)]
    public bool Rival { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        if (!Rival)
            return;
        _stop = false;
        _rival = new Thread(() =>
        {
            while (!_stop)
            {
                if (_live.TryReserve())
                    _live.Release();
            }
        })
        { IsBackground = true };
        _rival.Start();
    }

    [GlobalCleanup]
    public void CleanUp()
    {
        _stop = true;
        _rival?.Join();
    }

    [Benchmark]
    public bool ReserveAndRelease()
    {
        var reserved = _live.TryReserve();
        _live.Release();
        return reserved;
    }
}
