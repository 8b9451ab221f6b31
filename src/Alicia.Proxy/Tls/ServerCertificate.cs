using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Tls;

/// <summary>A certificate ready to be shown to callers.</summary>
internal sealed class ServerCertificate
{
    public ServerCertificate(TlsCertificateConfiguration configuration, CertifiedKey key)
    {
        Configuration = configuration;
        Ends = key.Leaf.NotAfter.ToUniversalTime();
        Names = configuration.Names.IsEmpty ? NamesIn(key.Leaf) : configuration.Names;
        // Offline: nobody's handshake waits until an authority's server has been asked for certificates that the file lacks, or for a stapled answer.
        Context = SslStreamCertificateContext.Create(key.Leaf, key.Chain, offline: true);
    }

    public TlsCertificateConfiguration Configuration { get; }

    public string Name => Configuration.Name;

    /// <summary>DNS names in lower case that it is shown for; a leading <c>*.</c> stands for one label.</summary>
    public ImmutableArray<string> Names { get; }

    /// <summary>When it ceases to be valid, UTC.</summary>
    public DateTime Ends { get; }

    /// <summary>Certificate, key and chain in the form that handshakes use; session tickets are bound to it.</summary>
    public SslStreamCertificateContext Context { get; }

    /// <summary>The DNS names that the certificate is good for. Without any there (old private authorities), its common name.</summary>
    private static ImmutableArray<string> NamesIn(X509Certificate2 certificate)
    {
        var names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().SelectMany(e => e.EnumerateDnsNames()).ToList();
        if (names.Count == 0 && certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false) is { Length: > 0 } common)
            names.Add(common);
        return [.. names.Select(n => n.ToLowerInvariant()).Distinct(StringComparer.Ordinal)];
    }
}

/// <summary>Finds the certificate for the name in a caller's hello. Immutable: a renewed certificate makes a new set.</summary>
internal sealed class ServerCertificateSet
{
    public static readonly ServerCertificateSet Empty = new([], null, refuseUnknownNames: false);

    private readonly FrozenDictionary<string, ServerCertificate> _byName;
    private readonly ServerCertificate? _fallback;

    /// <param name="all">In the order in which they claim names that several are good for.</param>
    /// <param name="fallback">Name of the one for everybody else, or null for the first.</param>
    /// <param name="refuseUnknownNames">Whether everybody else gets none instead.</param>
    public ServerCertificateSet(ImmutableArray<ServerCertificate> all, string? fallback, bool refuseUnknownNames)
    {
        All = all;
        var byName = new Dictionary<string, ServerCertificate>(StringComparer.OrdinalIgnoreCase);
        // What configuration says of a name counts more than what stands in a certificate.
        foreach (var certificate in all.OrderBy(c => c.Configuration.Names.IsEmpty))
        {
            foreach (var name in certificate.Names)
                byName.TryAdd(name, certificate);
        }

        _byName = byName.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
        _fallback = refuseUnknownNames ? null : all.FirstOrDefault(c => c.Name == fallback) ?? all.FirstOrDefault();
    }

    public ImmutableArray<ServerCertificate> All { get; }

    /// <summary>The certificate for this name: one for exactly it, else one with a wildcard in place of its first label, else the default.</summary>
    /// <param name="name">From the hello; empty when it names none.</param>
    /// <returns>Null when the caller gets none.</returns>
    public ServerCertificate? Find(string name)
    {
        // A dot at the end says that the name is complete; certificates do without.
        var asked = name.EndsWith('.') ? name[..^1] : name;
        if (asked.Length == 0)
            return _fallback;
        if (_byName.TryGetValue(asked, out var exact))
            return exact;
        var dot = asked.IndexOf('.', StringComparison.Ordinal);
        return dot > 0 && _byName.TryGetValue("*" + asked[dot..], out var wild) ? wild : _fallback;
    }
}
