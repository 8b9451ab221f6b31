using System.Runtime.InteropServices;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// Applies configuration files that change while the proxy runs, as a whole or not at all. Polls, because file notifications are lost on
/// network file systems and on the link swaps of config maps; SIGHUP reloads at once.
/// </summary>
/// <param name="loader">Reads all layers afresh.</param>
/// <param name="current">What runs; replaced after a change was applied.</param>
/// <param name="startupStamps">What the files looked like at the load that <paramref name="current"/> came from.</param>
/// <param name="apply">Puts a valid configuration into force, or refuses it with faults and changes nothing.</param>
/// <param name="time">Drives the polling.</param>
/// <param name="logger">Gets one line per attempt, and one per key that waits for a restart.</param>
internal sealed partial class ConfigurationWatcher(
    ConfigurationLoader loader,
    CurrentConfiguration current,
    IReadOnlyList<FileStamp> startupStamps,
    Func<ProxyConfiguration, CancellationToken, Task<IReadOnlyList<ConfigurationFault>>> apply,
    TimeProvider time,
    ILogger<ConfigurationWatcher> logger) : BackgroundService
{
    /// <summary>Time between two looks at the files.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    // A log line that names a thousand keys helps nobody.
    private const int MostNamed = 20;

    private readonly SemaphoreSlim _hangup = new(0);
    private IReadOnlyList<FileStamp> _tried = startupStamps;
    private IReadOnlyList<FileStamp> _lastSeen = startupStamps;
    private PosixSignalRegistration? _signal;

    /// <inheritdoc/>
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        if (!OperatingSystem.IsWindows())
        {
            _signal = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
            {
                context.Cancel = true;
                _hangup.Release();
            });
        }

        return base.StartAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _signal?.Dispose();
        base.Dispose();
    }

    /// <summary>
    /// One look at the files. A change counts once two looks in a row see the same: an editor or a copy may still be writing at the first.
    /// </summary>
    internal async Task LookAsync(CancellationToken cancellationToken)
    {
        var seen = loader.Files.Select(FileStamp.Of).ToArray();
        var settled = seen.SequenceEqual(_lastSeen);
        _lastSeen = seen;
        if (settled && !seen.SequenceEqual(_tried))
            await ReloadAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Called with the names of the keys that changed, once they are in force.</summary>
    public Action<IReadOnlyList<string>>? Applied { get; init; }

    /// <summary>Loads and applies, whatever the files look like.</summary>
    internal async Task ReloadAsync(CancellationToken cancellationToken)
    {
        var load = loader.Load();
        // Once tried, files are left alone until they change again, be they good or bad.
        _tried = load.Stamps;
        if (load.Value is not { } next)
        {
            LogRefused(load.Faults.Count, Lines(load.Faults));
            return;
        }

        var running = current.Value;
        var (live, needRestart) = running.Fingerprint.ChangesTo(next.Fingerprint);
        var merged = next.KeepingWhatNeedsRestart(running);
        // Taking the last API key away may be right for the file's listeners and wrong for those that are open.
        IReadOnlyList<ConfigurationFault> faults = [.. ConfigurationReader.OpenManagementFaults(merged)];
        if (faults.Count == 0)
            faults = await apply(merged, cancellationToken).ConfigureAwait(false);
        if (faults.Count > 0)
        {
            LogRefused(faults.Count, Lines(faults));
            return;
        }

        current.Value = merged;
        if (live.Length > 0)
            Applied?.Invoke(live);
        LogApplied(live.Length, live.Length == 0 ? "nothing changed" : Named(live));
        foreach (var key in needRestart)
            LogNeedsRestart(key);
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        var tick = timer.WaitForNextTickAsync(stoppingToken).AsTask();
        var hangup = _hangup.WaitAsync(stoppingToken);
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (await Task.WhenAny(tick, hangup).ConfigureAwait(false) == hangup)
                {
                    await hangup.ConfigureAwait(false);
                    hangup = _hangup.WaitAsync(stoppingToken);
                    await ReloadAsync(stoppingToken).ConfigureAwait(false);
                }
                else
                {
                    await tick.ConfigureAwait(false);
                    tick = timer.WaitForNextTickAsync(stoppingToken).AsTask();
                    await LookAsync(stoppingToken).ConfigureAwait(false);
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception fault)
            {
                // The old values stay in force; the watch goes on, for the next change may well be taken.
                LogFailed(fault);
            }
        }
    }

    private static string Lines(IEnumerable<ConfigurationFault> faults) => string.Join("; ", faults);

    private static string Named(IReadOnlyList<string> keys) => keys.Count <= MostNamed
        ? string.Join(", ", keys)
        : $"{string.Join(", ", keys.Take(MostNamed))} and {keys.Count - MostNamed} more";

    [LoggerMessage(1, LogLevel.Information, "Configuration reloaded, {Count} keys changed: {Keys}")]
    private partial void LogApplied(int count, string keys);

    [LoggerMessage(2, LogLevel.Warning, "Configuration key {Key} changed; it takes effect at the next start")]
    private partial void LogNeedsRestart(string key);

    [LoggerMessage(3, LogLevel.Error, "Configuration not reloaded, the old values stay, {Count} faults: {Faults}")]
    private partial void LogRefused(int count, string faults);

    [LoggerMessage(4, LogLevel.Error, "Configuration could not be applied, the old values stay; change a file or send SIGHUP to try again")]
    private partial void LogFailed(Exception fault);
}
