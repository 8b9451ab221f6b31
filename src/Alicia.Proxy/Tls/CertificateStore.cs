using System.Collections.Immutable;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Tls;

/// <summary>What a configuration asks for, read from its files and not yet in force.</summary>
internal sealed record LoadedCertificates(
    TlsConfiguration Configuration, ImmutableArray<Watched<ServerCertificate>> Servers, ImmutableArray<Watched<InstanceProfile>> Profiles);

/// <summary>Something made of files, and what those looked like just before they were read.</summary>
internal sealed record Watched<T>(string Name, string Use, T Value, DateTime? Ends, ImmutableArray<FileStamp> Stamps)
{
    /// <summary>What the files looked like at the latest look.</summary>
    public ImmutableArray<FileStamp> Seen { get; init; } = Stamps;

    public bool WarnedOfEnd { get; init; }
}

/// <summary>When a certificate ceases to be valid.</summary>
/// <param name="Name">As configuration calls it.</param>
/// <param name="Use"><c>server</c>, or <c>instances</c> for one that is shown to instances.</param>
/// <param name="Ends">UTC.</param>
internal readonly record struct CertificateEnd(string Name, string Use, DateTime Ends);

/// <summary>
/// The certificates in force. A new configuration brings all of its certificates or none; after that each goes by its own files, which are looked at once a second: a renewed
/// one is shown from the next handshake on, connections that are open keep theirs, and files that cannot be used leave the old one in force, one line in the log and a count.
/// </summary>
internal sealed partial class CertificateStore(TimeProvider time, ILogger<CertificateStore> logger) : BackgroundService
{
    private readonly Lock _lock = new();
    private LoadedCertificates? _loaded;
    private volatile ServerCertificateSet _servers = ServerCertificateSet.Empty;
    private volatile ImmutableDictionary<string, InstanceProfile> _profiles = ImmutableDictionary<string, InstanceProfile>.Empty;
    private volatile bool _only13;
    private long _reloads;
    private long _failures;

    /// <summary>Certificates for callers.</summary>
    public ServerCertificateSet Servers => _servers;

    /// <summary>Whether callers must speak TLS 1.3.</summary>
    public bool Only13 => _only13;

    /// <summary>Changed files that were taken, since start.</summary>
    public long Reloads => Volatile.Read(ref _reloads);

    /// <summary>Changed files that could not be used, since start.</summary>
    public long Failures => Volatile.Read(ref _failures);

    /// <summary>Called with the name of a profile of which something has changed. Set once, before the first change.</summary>
    public Action<string> ProfileChanged { get; set; } = static _ => { };

    /// <summary>When each certificate ceases to be valid.</summary>
    public IEnumerable<CertificateEnd> Ends
    {
        get
        {
            lock (_lock)
            {
                return _loaded is null ? [] :
                [
                    .. _loaded.Servers.Select(s => new CertificateEnd(s.Name, s.Use, s.Value.Ends)),
                    .. from p in _loaded.Profiles where p.Ends is not null select new CertificateEnd(p.Name, p.Use, p.Ends!.Value),
                ];
            }
        }
    }

    /// <summary>The profile of this name; null stands for the system's. A name that configuration does not have gives null: nothing may take its place.</summary>
    public InstanceProfile? Profile(string? name) => name is null ? InstanceProfile.System : _profiles.GetValueOrDefault(name);

    /// <summary>Reads everything that a configuration names. Changes nothing.</summary>
    /// <returns>What was read, or else every fault, by the key that names the file.</returns>
    public static (LoadedCertificates? Loaded, IReadOnlyList<ConfigurationFault> Faults) Load(TlsConfiguration configuration)
    {
        var faults = new List<ConfigurationFault>();
        var servers = configuration.Certificates.Select(c => Try(() => Read(c), faults)).ToImmutableArray();
        var profiles = configuration.Profiles.Select(p => Try(() => Read(p), faults)).ToImmutableArray();
        return faults.Count > 0 ? (null, faults) : (new LoadedCertificates(configuration, servers!, profiles!), faults);
    }

    /// <summary>Puts what was read into force.</summary>
    public void Use(LoadedCertificates loaded)
    {
        string[] changed;
        lock (_lock)
        {
            changed = _loaded is null ? [] : [.. _loaded.Profiles.Where(old => !loaded.Profiles.Any(fresh => SameProfile(old, fresh))).Select(old => old.Name)];
            _loaded = loaded;
            Publish_NeedsLock();
        }

        foreach (var name in changed)
            ProfileChanged(name);
    }

    /// <summary>One look at all files. A change counts once two looks in a row see the same: the key may still be on its way behind its certificate.</summary>
    internal void Look()
    {
        List<string> changed = [];
        lock (_lock)
        {
            if (_loaded is null)
                return;
            var (servers, profiles, any) = (_loaded.Servers, _loaded.Profiles, false);
            for (var i = 0; i < servers.Length; i++)
            {
                servers = servers.SetItem(i, Renewed_NeedsLock(servers[i], s => Read(s.Configuration), out var renewed));
                any |= renewed;
            }

            for (var i = 0; i < profiles.Length; i++)
            {
                profiles = profiles.SetItem(i, Renewed_NeedsLock(profiles[i], p => Read(p.Configuration), out var renewed));
                if (renewed)
                    changed.Add(profiles[i].Name);
            }

            _loaded = _loaded with { Servers = servers, Profiles = profiles };
            if (any || changed.Count > 0)
                Publish_NeedsLock();
        }

        foreach (var name in changed)
            ProfileChanged(name);
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(ConfigurationWatcher.Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false))
        {
            try
            {
                Look();
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                // Certificates in force stay; the watch goes on, for the next change may well be readable.
                LogFailed(e);
            }
        }
    }

    private Watched<T> Renewed_NeedsLock<T>(Watched<T> old, Func<T, Watched<T>> read, out bool renewed)
    {
        renewed = false;
        ImmutableArray<FileStamp> now = [.. old.Stamps.Select(s => FileStamp.Of(s.Path))];
        var settled = now.SequenceEqual(old.Seen);
        var next = old with { Seen = now };
        if (settled && !now.SequenceEqual(old.Stamps))
        {
            try
            {
                next = read(old.Value);
                renewed = true;
                _reloads++;
                LogRenewed(next.Use, next.Name, next.Ends);
            }
            catch (CertificateFileException e)
            {
                _failures++;
                // Once tried, files are left alone until they change again.
                next = next with { Stamps = now };
                LogRefused(old.Use, old.Name, e.Fault);
            }
        }

        if (next is { WarnedOfEnd: false, Ends: { } ends } && ends - time.GetUtcNow().UtcDateTime is var left && left < _loaded!.Configuration.ExpiryWarning)
        {
            next = next with { WarnedOfEnd = true };
            if (left > TimeSpan.Zero)
                LogEndsSoon(next.Use, next.Name, ends, left.TotalDays);
            else
                LogEnded(next.Use, next.Name, ends);
        }

        return next;
    }

    private static bool SameProfile(Watched<InstanceProfile> one, Watched<InstanceProfile> other) =>
        one.Value.Configuration == other.Value.Configuration && one.Stamps.SequenceEqual(other.Stamps);

    private void Publish_NeedsLock()
    {
        var loaded = _loaded!;
        _servers = new ServerCertificateSet(
            [.. loaded.Servers.Select(s => s.Value)], loaded.Configuration.DefaultCertificate, loaded.Configuration.RefuseUnknownNames);
        _only13 = loaded.Configuration.Only13;
        _profiles = loaded.Profiles.ToImmutableDictionary(p => p.Name, p => p.Value, StringComparer.Ordinal);
    }

    private static Watched<ServerCertificate> Read(TlsCertificateConfiguration configuration)
    {
        var stamps = Stamps(configuration.Location.Files);
        var certificate = new ServerCertificate(configuration, CertificateFiles.Load(configuration.Location));
        return new Watched<ServerCertificate>(configuration.Name, "server", certificate, certificate.Ends, stamps);
    }

    private static Watched<InstanceProfile> Read(TlsProfileConfiguration configuration)
    {
        var stamps = Stamps([.. configuration.Client?.Files ?? [], .. configuration.CaFile is { } file ? [file] : Array.Empty<string>()]);
        var authorities = configuration.CaFile is null ? null : CertificateFiles.LoadAuthorities(configuration.CaFile, configuration.ConfigKey + ":CaFile");
        var profile = new InstanceProfile(configuration, authorities, configuration.Client is null ? null : CertificateFiles.Load(configuration.Client));
        return new Watched<InstanceProfile>(configuration.Name, "instances", profile, profile.Ends, stamps);
    }

    private static ImmutableArray<FileStamp> Stamps(IEnumerable<string> files) => [.. files.Select(FileStamp.Of)];

    private static T? Try<T>(Func<T> read, List<ConfigurationFault> faults)
        where T : class
    {
        try
        {
            return read();
        }
        catch (CertificateFileException e)
        {
            faults.Add(e.Fault);
            return null;
        }
    }

    [LoggerMessage(LogLevel.Information, "The {Use} certificate {Name} was renewed; it ends {Ends:u}")]
    private partial void LogRenewed(string use, string name, DateTime? ends);

    [LoggerMessage(LogLevel.Error, "The changed files of the {Use} certificate {Name} cannot be used, the old one stays: {Fault}")]
    private partial void LogRefused(string use, string name, ConfigurationFault fault);

    [LoggerMessage(LogLevel.Warning, "The {Use} certificate {Name} ends {Ends:u}, in {Days:0.#} days")]
    private partial void LogEndsSoon(string use, string name, DateTime ends, double days);

    [LoggerMessage(LogLevel.Error, "The {Use} certificate {Name} has ended {Ends:u}")]
    private partial void LogEnded(string use, string name, DateTime ends);

    [LoggerMessage(LogLevel.Error, "Certificate files could not be looked at; what is in force stays")]
    private partial void LogFailed(Exception fault);
}
