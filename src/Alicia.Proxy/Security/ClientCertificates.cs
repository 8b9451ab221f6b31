using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Security;

/// <summary>
/// Finds the entry of configuration that a client certificate is: the one certificate by its fingerprint, or any of a subject that its authority vouches for. The handshake has shown
/// that the caller has the private key; everything else about the certificate is looked at here, because the handshake takes any.
/// </summary>
internal sealed partial class ClientCertificates(TimeProvider time, ILogger<ClientCertificates> logger)
{
    private const string ForClients = "1.3.6.1.5.5.7.3.2";

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (FileStamp Stamp, X509Certificate2Collection Authorities)> _authorities = new(StringComparer.Ordinal);

    /// <summary>What is wrong with a file of authorities, or null.</summary>
    public static string? FaultOf(string file)
    {
        try
        {
            var authorities = new X509Certificate2Collection();
            authorities.ImportFromPemFile(file);
            return authorities.Count > 0 ? null : "holds no certificate";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"cannot be read: {e.Message}";
        }
        catch (CryptographicException)
        {
            return "is not PEM";
        }
    }

    /// <summary>The entry, or null when none is this certificate.</summary>
    public ClientCertificate? Find(IReadOnlyList<ClientCertificate> entries, X509Certificate2 certificate)
    {
        var now = time.GetUtcNow();
        if (now < certificate.NotBefore.ToUniversalTime() || now > certificate.NotAfter.ToUniversalTime())
            return null;
        var fingerprint = SHA256.HashData(certificate.RawDataMemory.Span);
        foreach (var entry in entries)
        {
            var matches = entry.Subject is null ? CryptographicOperations.FixedTimeEquals(entry.Sha256.AsSpan(), fingerprint)
                : entry.Subject == certificate.SubjectName.Name;
            if (matches && (entry.CaFile is null || ComesFrom(entry.CaFile, certificate, now)))
                return entry;
        }

        return null;
    }

    private bool ComesFrom(string file, X509Certificate2 certificate, DateTimeOffset now)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(AuthoritiesOf(file));
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(ForClients));
        chain.ChainPolicy.VerificationTime = now.UtcDateTime;
        return chain.Build(certificate);
    }

    /// <summary>Read again when the file changes; a broken one leaves the authorities as they were.</summary>
    private X509Certificate2Collection AuthoritiesOf(string file)
    {
        lock (_lock)
        {
            var stamp = FileStamp.Of(file);
            var known = _authorities.TryGetValue(file, out var entry);
            if (known && entry.Stamp == stamp)
                return entry.Authorities;
            var fresh = new X509Certificate2Collection();
            if (FaultOf(file) is { } fault)
            {
                fresh = known ? entry.Authorities : fresh;
                LogRefused(logger, file, fault);
            }
            else
            {
                fresh.ImportFromPemFile(file);
                if (known)
                    LogChanged(logger, file, fresh.Count);
            }

            _authorities[file] = (stamp, fresh);
            return fresh;
        }
    }

    [LoggerMessage(LogLevel.Information, "The authorities of client certificates were read again from {File}: {Count}")]
    private static partial void LogChanged(ILogger logger, string file, int count);

    [LoggerMessage(LogLevel.Error, "The authorities of client certificates were not read, the old ones stay: {File} {Fault}")]
    private static partial void LogRefused(ILogger logger, string file, string fault);
}
