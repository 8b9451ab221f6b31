using Alicia.Proxy.Configuration;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using Serilog;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// Logs to standard error, for people or as JSON lines. Levels by category follow configuration while the proxy runs; which categories are on is decided before
/// Serilog sees anything, so that a level that is off costs a flag.
/// </summary>
internal static class ProxyLogging
{
    /// <summary>Lines that wait to be written, at most; a few megabytes.</summary>
    private const int LinesAhead = 10_000;

    public static IServiceCollection AddProxyLogging(this IServiceCollection services, LoggingConfiguration configuration)
    {
        var logger = new LoggerConfiguration()
            .MinimumLevel.Verbose()
            .Enrich.FromLogContext()
            // Whoever reads the log may stop reading: then lines are lost, and nobody waits.
            .WriteTo.Async(
                log => log.Console(
                    configuration.Format == LogFormat.Json ? new JsonLogFormatter() : new TextLogFormatter(),
                    standardErrorFromLevel: Serilog.Events.LogEventLevel.Verbose),
                bufferSize: LinesAhead, blockWhenFull: false)
            .CreateLogger();
        services.AddLogging(logging => logging.AddSerilog(logger, dispose: false));
        services.AddSingleton(_ => new LogOutput(logger));
        services.AddSingleton<LevelFilters>();
        services.AddSingleton<IConfigureOptions<LoggerFilterOptions>>(s => s.GetRequiredService<LevelFilters>());
        services.AddSingleton<IOptionsChangeTokenSource<LoggerFilterOptions>>(s => s.GetRequiredService<LevelFilters>());
        return services;
    }
}

/// <summary>Writes the last lines at the end of the program, unless nobody takes them. To be asked for first, so that it is the last to end.</summary>
/// <param name="logger">Where lines go.</param>
internal sealed class LogOutput(IDisposable logger) : IAsyncDisposable
{
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(2);

    public async ValueTask DisposeAsync() => await Task.WhenAny(Task.Run(logger.Dispose), Task.Delay(Farewell));
}

/// <summary>Turns <c>Logging:LogLevel</c> into filters, again after each change of configuration.</summary>
internal sealed class LevelFilters : IConfigureOptions<LoggerFilterOptions>, IOptionsChangeTokenSource<LoggerFilterOptions>
{
    /// <summary>What is said when configuration is silent: our own lines, and of the framework only trouble.</summary>
    private static readonly (string? Category, LogLevel Level)[] Defaults =
    [
        (null, LogLevel.Information),
        ("Microsoft", LogLevel.Warning),
        ("System", LogLevel.Warning),
        ("Yarp", LogLevel.Warning),
        // A start that failed is told by the program itself, without a stack trace.
        ("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical),
        // It writes a stack trace for every refused connection and every malformed request. Our own line at Debug has the same in one line.
        ("Yarp.ReverseProxy.Forwarder.HttpForwarder", LogLevel.Error),
        // Even at Critical the hosting logger makes an Activity for each request.
        ("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None),
    ];

    private readonly CurrentConfiguration _configuration;

    public LevelFilters(CurrentConfiguration configuration) => _configuration = configuration;

    public string? Name => Options.DefaultName;

    public void Configure(LoggerFilterOptions options)
    {
        options.Rules.Clear();
        // The server opens one for each connection and request: every wait in them would carry a context, and each idle caller keep 160 bytes. Lines that need an id have it in their text.
        options.CaptureScopes = false;
        foreach (var (category, level) in Defaults)
            options.Rules.Add(new LoggerFilterRule(null, category, level, null));
        foreach (var (category, level) in _configuration.Value.Logging.Levels)
            options.Rules.Add(new LoggerFilterRule(null, category == "Default" ? null : category, level, null));
    }

    public IChangeToken GetChangeToken() => _configuration.ChangeToken;
}
