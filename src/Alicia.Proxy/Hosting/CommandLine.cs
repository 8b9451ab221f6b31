using System.Runtime.InteropServices;
using Alicia.Proxy.Api;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Hosting;

/// <summary>The program's verbs: run (none), demo, validate, health, and the two questions every program answers.</summary>
internal static class CommandLine
{
    private const string Help = """
        Alicia.Proxy: a service proxy that forwards HTTP to instances that register while it runs.

        Usage: Alicia.Proxy [VERB] [--config FILE] [--Section:Key=VALUE ...]

        Verbs:
          (none)     Run the proxy.
          demo       Run the proxy, demo instances and a demo broker, and print requests to try.
          validate   Check the configuration, report every fault, and exit.
          health     Ask the proxy that runs with this configuration whether it is ready; exit 0 if so.

        Options:
          --config FILE          A configuration file laid over config/alicia.json.
          --Section:Key=VALUE    Any configuration key, such as --Listen:Proxy=http://127.0.0.1:9000.
          --help                 This text.
          --version              The version.

        Exit codes: 0 done, 1 could not start, 2 configuration at fault, 3 registry store unusable.
        Signals: SIGTERM and SIGINT stop in order, SIGHUP reloads configuration files.
        """;

    public static async Task<int> RunAsync(string[] args)
    {
        if (args.Contains("--help") || args.Contains("-h"))
            return Say(Help);
        if (args.Contains("--version"))
            return Say(HealthEndpoints.Version);
        var verb = args.Length > 0 && !args[0].StartsWith('-') ? args[0] : "run";
        var rest = verb == "run" ? args : args[1..];
        switch (verb)
        {
            case "run":
                return await ServeAsync(rest, static (_, _) => Task.CompletedTask);
            case "demo":
                return await Demo.RunAsync(rest);
            case "validate":
                return Validate(rest);
            case "health":
                var load = Loader(rest).Load();
                return load.Value is { } running ? await HealthProbe.RunAsync(running) : await ReportAsync(load.Faults);
            default:
                await Console.Error.WriteLineAsync($"Unknown verb '{verb}'; --help lists what there is.");
                return ExitCodes.Configuration;
        }
    }

    /// <summary>Runs a proxy until it is told to stop.</summary>
    /// <param name="args">Arguments without the verb.</param>
    /// <param name="whenStarted">Called when the proxy is ready; its token is cancelled when the proxy is to stop.</param>
    public static async Task<int> ServeAsync(string[] args, Func<ProxyHost, CancellationToken, Task> whenStarted)
    {
        var loader = Loader(args);
        var load = loader.Load();
        if (load.Value is null)
            return await ReportAsync(load.Faults);

        using var stop = new CancellationTokenSource();
        using var hurry = new CancellationTokenSource();
        using var abandon = new CancellationTokenSource();
        void OnSignal(PosixSignalContext signal)
        {
            signal.Cancel = true;
            // The first signal stops in order, each further one ends the wait that it finds.
            (!stop.IsCancellationRequested ? stop : !hurry.IsCancellationRequested ? hurry : abandon).Cancel();
        }

        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        try
        {
            await using var proxy = await ProxyHost.StartAsync(loader, load, stop.Token);
            foreach (var (plane, url) in proxy.Bound)
                Say($"{plane} listening on {url}");
            await whenStarted(proxy, stop.Token);
            var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using (stop.Token.Register(stopped.SetResult))
                await stopped.Task;
            await proxy.StopAsync(hurry.Token, abandon.Token);
            return ExitCodes.Success;
        }
        catch (StartException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return e.ExitCode;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return ExitCodes.Success;
        }
    }

    private static int Validate(string[] args)
    {
        var load = Loader(args).Load();
        var faults = load.Value is { } value ? FurtherFaults(value) : load.Faults;
        return faults.Count > 0 ? ReportAsync(faults).GetAwaiter().GetResult() : Say("The configuration is valid.");
    }

    /// <summary>Reads configuration as a run with these arguments would.</summary>
    public static ConfigurationLoader Loader(string[] args)
    {
        var loader = ConfigurationLoader.ForThisProcess(args);
        loader.FurtherFaults = FurtherFaults;
        return loader;
    }

    /// <summary>What a start would find at fault beyond single keys.</summary>
    private static IReadOnlyList<ConfigurationFault> FurtherFaults(ProxyConfiguration value) =>
        ConfigurationInForce.Check(value, TimeProvider.System);

    private static async Task<int> ReportAsync(IReadOnlyList<ConfigurationFault> faults)
    {
        await Console.Error.WriteLineAsync($"The configuration is not valid ({faults.Count} {(faults.Count == 1 ? "fault" : "faults")}):");
        foreach (var fault in faults)
            await Console.Error.WriteLineAsync($"  {fault}");
        return ExitCodes.Configuration;
    }

    private static int Say(string text)
    {
        Console.Out.WriteLine(text);
        Console.Out.Flush();
        return ExitCodes.Success;
    }
}
