using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Registry.Validation;

/// <summary>A registration after validation: canonical host, definite scheme, and an id.</summary>
internal sealed record ValidRegistration(string InstanceId, string Host, int Port, string Scheme, UpstreamProtocol Protocol, RegistrationRequest Request)
{
    /// <summary>True when the registration itself named the protocol; a later one that leaves it out keeps it.</summary>
    public bool NamesProtocol => Request.Protocol is not null;
}

/// <summary>The rules for registrations and for changes of an instance. Every broken rule is reported under its field's wire name.</summary>
internal static class InstanceRules
{
    public const int MaxMetadataPairs = 32;
    public const int MaxMetadataBytes = 4096;
    public const int MaxPriority = 100;

    /// <summary>Checks everything that does not depend on what is registered already. Null when <paramref name="faults"/> got something.</summary>
    public static ValidRegistration? Validate(RegistrationRequest request, RegistryRules rules, FaultList faults)
    {
        var before = faults.Any;
        string? host = null;
        if (request.Host is null)
            faults.AddIfNone("host", "is required");
        else if (!HostRules.TryCanonicalize(request.Host, rules, out host, out var fault))
            faults.Add("host", fault);

        if (request.Port is null)
            faults.AddIfNone("port", "is required");
        else
            Range("port", request.Port, 1, 65535, faults);
        if (host is not null && request.Port is { } port && HostRules.TryParseLiteral(host, out var address) && rules.Own.Has(address, port))
            faults.Add("port", $"{port} at {address} is a listener of this proxy");

        if (request.InstanceId is not null && !Names.IsInstance(request.InstanceId))
            faults.Add("instance_id", "must be " + Names.InstanceRule);
        if (request.Scheme is not (null or "http" or "https"))
            faults.Add("scheme", "must be http or https");
        var scheme = request.Scheme ?? (request.Protocol == "http2" ? "https" : "http");
        var protocol = ParseProtocol(request.Protocol, scheme, faults);
        Limits(request.Weight, request.MaxConnections, faults);
        Range("ttl_seconds", request.TtlSeconds, 5, 86400, faults);
        Range("priority", request.Priority, 0, MaxPriority, faults);
        if (request.Metadata is not null)
            Metadata(request.Metadata, faults);
        if (request.HealthCheck is { } probes)
            CrossFaults(probes, faults);
        if (faults.Any || before)
            return null;

        return new ValidRegistration(request.InstanceId ?? DeriveId(host!, request.Port!.Value), host!, request.Port!.Value, scheme, protocol, request);
    }

    /// <summary>Checks weight (1–1000) and cap (1–100000) where they are given.</summary>
    public static void Limits(int? weight, int? maxConnections, FaultList faults)
    {
        Range("weight", weight, 1, 1000, faults);
        Range("max_connections", maxConnections, 1, 100000, faults);
    }

    /// <summary>Checks the number of pairs and their size in UTF-8, keys and values together.</summary>
    public static void Metadata(IReadOnlyDictionary<string, string> metadata, FaultList faults)
    {
        if (metadata.Count > MaxMetadataPairs)
            faults.Add("metadata", $"must have at most {MaxMetadataPairs} pairs");
        if (metadata.Sum(p => Encoding.UTF8.GetByteCount(p.Key) + Encoding.UTF8.GetByteCount(p.Value)) > MaxMetadataBytes)
            faults.Add("metadata", $"must be at most {MaxMetadataBytes} bytes in all");
    }

    /// <summary>
    /// The id of a registration that brings none: the same address always gives the same id, so that repeating a registration changes nothing.
    /// </summary>
    public static string DeriveId(string host, int port)
    {
        var portText = port.ToString(CultureInfo.InvariantCulture);
        // An IPv6 address may begin with a colon and a Docker name with an underscore; an id may not.
        var lead = host.Contains(':') ? "ip6-" + host : char.IsAsciiLetterOrDigit(host[0]) ? host : "host-" + host;
        var id = $"{lead}:{portText}";
        if (id.Length <= 128)
            return id;
        var digest = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(host)))[..16];
        return $"{lead[..96]}-{digest}:{portText}";
    }

    private static UpstreamProtocol ParseProtocol(string? protocol, string scheme, FaultList faults)
    {
        switch (protocol)
        {
            case null or "http1":
                return UpstreamProtocol.Http1;
            case "http2" when scheme == "https":
                return UpstreamProtocol.Http2;
            case "http2":
                faults.Add("protocol", "http2 is HTTP/2 over TLS and needs scheme https; in clear text it is h2c");
                break;
            case "h2c" when scheme == "http":
                return UpstreamProtocol.H2c;
            case "h2c":
                faults.Add("protocol", "h2c is HTTP/2 in clear text and needs scheme http; over TLS it is http2");
                break;
            default:
                faults.Add("protocol", "must be one of http1, http2, h2c");
                break;
        }

        return default;
    }

    private static void Range(string field, int? value, int min, int max, FaultList faults)
    {
        if (value is { } v && (v < min || v > max))
            faults.Add(field, string.Create(CultureInfo.InvariantCulture, $"must be a whole number from {min} to {max}"));
    }

    private static void CrossFaults(SettingOverrides probes, FaultList faults)
    {
        foreach (var (key, fault) in ServiceSettings.Resolve(probes).CrossFaults())
            faults.Add(key.WirePath, fault);
    }

    /// <summary>The wire name of a protocol.</summary>
    public static string WireName(UpstreamProtocol protocol) => protocol switch
    {
        UpstreamProtocol.Http1 => "http1",
        UpstreamProtocol.Http2 => "http2",
        UpstreamProtocol.H2c => "h2c",
        _ => throw new ArgumentOutOfRangeException(nameof(protocol), protocol, null),
    };

    /// <summary>An empty metadata map, sorted by key so that documents read the same every time.</summary>
    public static ImmutableSortedDictionary<string, string> ToMetadata(IReadOnlyDictionary<string, string> pairs) =>
        pairs.ToImmutableSortedDictionary(StringComparer.Ordinal);
}
