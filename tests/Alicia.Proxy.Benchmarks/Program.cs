using System.Runtime.InteropServices;
using Alicia.Proxy.Benchmarks;
using Alicia.Proxy.Benchmarks.Load;
using Alicia.Proxy.Benchmarks.Micro;
using Alicia.Proxy.Benchmarks.Peers;
using Alicia.Proxy.Benchmarks.Scale;
using Alicia.Proxy.Benchmarks.Simulation;
using Alicia.Proxy.Benchmarks.Soak;

const string Usage = """
    Usage: Alicia.Proxy.Benchmarks VERB [options] [--report FILE]

      pick        what a routing and balancing decision costs: nanoseconds and bytes
      registry    registrations, restarts and memory of a proxy with many instances
      forward     what the proxy adds to a request, beside direct calls and other proxies
      peers       this proxy beside nginx, HAProxy, Caddy and bare YARP: tests/bench/run builds and runs it
      scale       what a request costs with many instances and services, and what an idle connection keeps
      metrics     what being observed costs, and a scrape of many instances
      probe       what health checks cost
      fuzz        the parser of answers against a reference, on as many generated answers as there is time for
      parsers     every other parser against what must hold of it, on generated inputs
      simulate    what each algorithm makes of an ailing instance, in virtual time
      strict      whether the guard of HTTP/1.1 reads generated inputs rightly, and what it costs
      bus         what a storm of messages on the bus does to requests
      soak        full load and troubles for as long as is asked for: memory, connections, slots, buffers

    README.md beside the project explains the options.
    """;

// A first interrupt ends the run in order, so that every process it started is ended too.
using var interrupted = new CancellationTokenSource();
void OnSignal(PosixSignalContext signal)
{
    signal.Cancel = true;
    interrupted.Cancel();
}

try
{
    var rest = args.Skip(1).ToArray();
    switch (args.FirstOrDefault())
    {
        case "pick":
            return await PickRun.RunAsync(rest);
        case "simulate":
            return await SimulateRun.RunAsync(rest);
        case "fuzz":
        case "parsers":
        case "registry":
        case "forward":
        case "peers":
        case "scale":
        case "metrics":
        case "probe":
        case "strict":
        case "bus":
        case "soak":
            using (PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal))
            using (PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal))
            {
                return await (args[0] switch
                {
                    "fuzz" => FuzzRun.RunAsync(rest, interrupted.Token),
                    "parsers" => ParserRun.RunAsync(rest, interrupted.Token),
                    "registry" => RegistryRun.RunAsync(rest, interrupted.Token),
                    "forward" => ForwardRun.RunAsync(rest, interrupted.Token),
                    "peers" => PeersRun.RunAsync(rest, interrupted.Token),
                    "scale" => ScaleRun.RunAsync(rest, interrupted.Token),
                    "metrics" => MetricsRun.RunAsync(rest, interrupted.Token),
                    "probe" => ProbeRun.RunAsync(rest, interrupted.Token),
                    "soak" => SoakRun.RunAsync(rest, interrupted.Token),
                    "strict" => StrictRun.RunAsync(rest, interrupted.Token),
                    _ => BusRun.RunAsync(rest, interrupted.Token),
                });
            }

        case BareYarp.Verb:
            return await BareYarp.RunAsync(rest);
        case SoakInstance.Verb:
            return await SoakInstance.RunAsync(rest);
        case LoadBackend.Verb:
            return await LoadBackend.RunAsync(rest);
        case LoadGenerator.Verb:
            return await LoadGenerator.RunAsync();
        case CountedProxy.Verb:
            return await CountedProxy.RunAsync(rest);
        default:
            await Console.Error.WriteLineAsync(Usage);
            return 2;
    }
}
catch (UsageException fault)
{
    await Console.Error.WriteLineAsync($"{fault.Message}\n\n{Usage}");
    return 2;
}
catch (OperationCanceledException) when (interrupted.IsCancellationRequested)
{
    return 130;
}
