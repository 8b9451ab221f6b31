using System.Globalization;
using System.Text.Json;

namespace Alicia.Proxy.Configuration;

/// <summary>What one load came to.</summary>
/// <param name="Value">Null exactly when there are faults.</param>
/// <param name="Faults">Everything that is wrong.</param>
/// <param name="Stamps">What the files looked like just before they were read.</param>
internal sealed record ConfigurationLoad(
    ProxyConfiguration? Value, IReadOnlyList<ConfigurationFault> Faults, IReadOnlyList<FileStamp> Stamps);

/// <summary>
/// Lays the sources of configuration over each other, later wins: <c>config/alicia.json</c>, <c>config/alicia.{Environment}.json</c>, the
/// file of <c>--config</c>, environment variables, command line. Every load reads everything afresh, so that a change is taken as a
/// whole or not at all.
/// </summary>
internal sealed class ConfigurationLoader
{
    private static readonly JsonDocumentOptions JsonOptions = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    private readonly string _workingDirectory;
    private readonly string _environmentName;
    private readonly IReadOnlyDictionary<string, string?> _environment;
    private readonly CommandLineLayer _commandLine;
    private readonly string[] _directories;
    private readonly string? _configFile;

    /// <param name="workingDirectory">Looked in first; relative paths start here.</param>
    /// <param name="baseDirectory">Directory of the program; looked in when the first has no configuration files.</param>
    /// <param name="environment">Environment variables.</param>
    /// <param name="args">Arguments of the program without its verb.</param>
    public ConfigurationLoader(
        string workingDirectory, string baseDirectory, IReadOnlyDictionary<string, string> environment, IReadOnlyList<string> args)
    {
        _workingDirectory = Path.GetFullPath(workingDirectory);
        _environmentName = Name(environment, "DOTNET_ENVIRONMENT") ?? Name(environment, "ASPNETCORE_ENVIRONMENT") ?? "Production";
        _environment = EnvironmentLayer.Read(environment);
        _commandLine = CommandLineLayer.Read(args);
        _directories =
        [
            .. new[] { _workingDirectory, Path.GetFullPath(baseDirectory) }
                .Select(directory => Path.Combine(directory, "config"))
                .Distinct(StringComparer.Ordinal),
        ];
        _configFile = _commandLine.ConfigFile is { } file ? Path.GetFullPath(file, _workingDirectory) : null;
        Files = [.. _directories.SelectMany(DefaultFiles).Concat(_configFile is null ? [] : [_configFile]).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>What other rooms find at fault in a configuration that has faults already, so that one report has everything. Null: nothing.</summary>
    public Func<ProxyConfiguration, IReadOnlyList<ConfigurationFault>>? FurtherFaults { get; set; }

    /// <summary>Every file that a load looks at, whether it is there or not.</summary>
    public IReadOnlyList<string> Files { get; }

    public static ConfigurationLoader ForThisProcess(IReadOnlyList<string> args)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (System.Collections.DictionaryEntry variable in Environment.GetEnvironmentVariables())
            environment[(string)variable.Key] = (string?)variable.Value ?? "";
        return new ConfigurationLoader(Environment.CurrentDirectory, AppContext.BaseDirectory, environment, args);
    }

    public ConfigurationLoad Load()
    {
        // First the stamps: a file that changes while it is read is then seen to have changed.
        var stamps = Files.Select(FileStamp.Of).ToArray();
        var faults = new List<ConfigurationFault>(_commandLine.Faults);
        if (_environmentName.AsSpan().ContainsAny('/', '\\', '\0'))
            faults.Add(new ConfigurationFault("DOTNET_ENVIRONMENT", "must be a plain name such as Production"));

        var builder = new ConfigurationBuilder();
        foreach (var file in DefaultFilesInUse())
            AddFile(builder, file, required: false, faults);
        if (_configFile is not null)
            AddFile(builder, _configFile, required: true, faults);
        builder.AddInMemoryCollection(_environment);
        builder.AddInMemoryCollection(_commandLine.Values);
        var root = builder.Build();

        if (faults.Count > 0)
        {
            // What the broken file would have said is unknown, so rules between keys would only add noise.
            faults.AddRange(ConfigurationValues.Of(root).Faults);
            return new ConfigurationLoad(null, faults, stamps);
        }

        var (value, found) = ConfigurationReader.ReadAll(root);
        if (found.Count == 0)
            return new ConfigurationLoad(WithAbsolutePaths(value), found, stamps);
        var further = FurtherFaults?.Invoke(value) ?? [];
        // What could not be read is missing for them; it has its own fault.
        return new ConfigurationLoad(null, [.. found, .. further.Where(f => found.All(known => !f.Key.Equals(known.Key, StringComparison.OrdinalIgnoreCase)))], stamps);
    }

    private static string? Name(IReadOnlyDictionary<string, string> environment, string variable) =>
        environment.TryGetValue(variable, out var name) && name.Length > 0 ? name : null;

    private string[] DefaultFiles(string directory) =>
        [Path.Combine(directory, "alicia.json"), Path.Combine(directory, $"alicia.{_environmentName}.json")];

    /// <summary>Those of the first directory that has any: two directories are never mixed.</summary>
    private IEnumerable<string> DefaultFilesInUse() =>
        _directories.Select(DefaultFiles).FirstOrDefault(files => files.Any(File.Exists)) ?? [];

    private static void AddFile(ConfigurationBuilder builder, string file, bool required, List<ConfigurationFault> faults)
    {
        byte[] content;
        try
        {
            content = File.ReadAllBytes(file);
        }
        catch (Exception fault) when (fault is FileNotFoundException or DirectoryNotFoundException)
        {
            if (required)
                faults.Add(new ConfigurationFault(file, "there is no such file"));
            return;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            faults.Add(new ConfigurationFault(file, $"cannot be read: {fault.Message}"));
            return;
        }

        try
        {
            // Parsed on its own first: this is where a fault has its position.
            using (JsonDocument.Parse(WithoutByteOrderMark(content), JsonOptions))
            {
            }

            // Then on trial, for what is JSON but no configuration: a list at the top, a key that stands there twice.
            _ = new ConfigurationBuilder().Add(new IndexedJsonSource { Stream = new MemoryStream(content) }).Build();
            builder.Add(new IndexedJsonSource { Stream = new MemoryStream(content) });
        }
        catch (JsonException fault)
        {
            // Not the exception's own words: they quote the text, which may be a secret without its quotes.
            faults.Add(new ConfigurationFault(file, string.Create(CultureInfo.InvariantCulture,
                $"is not valid JSON at line {fault.LineNumber + 1}, position {fault.BytePositionInLine + 1}")));
        }
        catch (FormatException fault)
        {
            faults.Add(new ConfigurationFault(file, fault.Message));
        }
    }

    private static ReadOnlyMemory<byte> WithoutByteOrderMark(byte[] content) =>
        content.AsSpan().StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]) ? content.AsMemory(3) : content;

    private ProxyConfiguration WithAbsolutePaths(ProxyConfiguration value) => value with
    {
        Registry = value.Registry with { Path = Absolute(value.Registry.Path)! },
        Jwt = value.Jwt is { } jwt ? jwt with { KeyFile = Absolute(jwt.KeyFile) } : null,
        ClientCertificates = [.. value.ClientCertificates.Select(c => c with { CaFile = Absolute(c.CaFile) })],
        Mqtt = value.Mqtt with
        {
            Tls = value.Mqtt.Tls is { } tls
                ? tls with { CaFile = Absolute(tls.CaFile), CertificateFile = Absolute(tls.CertificateFile), KeyFile = Absolute(tls.KeyFile) }
                : null,
        },
        Tls = value.Tls with
        {
            Certificates = [.. value.Tls.Certificates.Select(c => c with { Location = Absolute(c.Location) })],
            Profiles = [.. value.Tls.Profiles.Select(p => p with { CaFile = Absolute(p.CaFile), Client = p.Client is null ? null : Absolute(p.Client) })],
        },
    };

    private CertificateLocation Absolute(CertificateLocation location) =>
        location with { CertificateFile = Absolute(location.CertificateFile)!, KeyFile = Absolute(location.KeyFile) };

    private string? Absolute(string? path) => path is null ? null : Path.GetFullPath(path, _workingDirectory);
}
