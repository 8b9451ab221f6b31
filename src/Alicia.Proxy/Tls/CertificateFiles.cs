using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Tls;

/// <summary>A certificate with its private key, and those that lead from it to its authority.</summary>
internal sealed record CertifiedKey(X509Certificate2 Leaf, X509Certificate2Collection Chain);

/// <summary>Files that cannot be used; the key of the configuration that names the one at fault, and the rule that it breaks.</summary>
internal sealed class CertificateFileException(string key, string message) : Exception(message)
{
    public ConfigurationFault Fault { get; } = new(key, message);
}

/// <summary>
/// Reads certificates and keys from PEM and PKCS #12 files, and says in an operator's words what is wrong with them: which file, and whether it is missing, of another kind,
/// locked by another password or the key of another certificate. Never shows what is in them.
/// </summary>
internal static class CertificateFiles
{
    /// <summary>Larger files hold no certificates; a chain is a few KiB, all public authorities together are a quarter of a MiB.</summary>
    private const int MaxBytes = 4 * 1024 * 1024;

    /// <summary>A certificate with its key.</summary>
    /// <exception cref="CertificateFileException">The files cannot be used.</exception>
    public static CertifiedKey Load(CertificateLocation location)
    {
        var key = location.ConfigKey + ":CertificateFile";
        var bytes = Read(location.CertificateFile, key);
        var text = Text(bytes);
        if (text.Contains("-----BEGIN ", StringComparison.Ordinal))
            return LoadPem(location, text);
        if (location.KeyFile is not null)
            throw new CertificateFileException(key, $"{location.CertificateFile} is no PEM file, and beside a KeyFile it must be one");
        return LoadPkcs12(location, bytes);
    }

    /// <summary>Authorities to trust.</summary>
    /// <param name="file">PEM, with one certificate or more.</param>
    /// <param name="key">Key of the configuration that names it.</param>
    /// <exception cref="CertificateFileException">The file cannot be used.</exception>
    public static X509Certificate2Collection LoadAuthorities(string file, string key) => Certificates(Text(Read(file, key)), file, key);

    private static CertifiedKey LoadPem(CertificateLocation location, string text)
    {
        var chain = Certificates(text, location.CertificateFile, location.ConfigKey + ":CertificateFile");
        var keyFile = location.KeyFile ?? location.CertificateFile;
        var keyName = location.KeyFile is null ? ":CertificateFile" : ":KeyFile";
        var keyText = location.KeyFile is null ? text : Text(Read(location.KeyFile, location.ConfigKey + keyName));
        if (!keyText.Contains(" PRIVATE KEY-----", StringComparison.Ordinal) && !keyText.Contains("-----BEGIN PRIVATE KEY-----", StringComparison.Ordinal))
        {
            throw new CertificateFileException(location.ConfigKey + keyName, location.KeyFile is null
                ? $"{keyFile} holds no private key; name the file that does with KeyFile"
                : $"{keyFile} holds no private key in PEM");
        }

        var locked = keyText.Contains("-----BEGIN ENCRYPTED PRIVATE KEY-----", StringComparison.Ordinal);
        if (locked && location.Password is null)
            throw new CertificateFileException(location.ConfigKey + ":Password", $"must be given: the private key in {keyFile} is encrypted");
        // The first certificate is the server's own; what follows leads to the authority.
        var leafPem = chain[0].ExportCertificatePem();
        try
        {
            var leaf = locked ? X509Certificate2.CreateFromEncryptedPem(leafPem, keyText, location.Password) : X509Certificate2.CreateFromPem(leafPem, keyText);
            chain[0].Dispose();
            chain.RemoveAt(0);
            return new CertifiedKey(leaf, chain);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw IsReadable(keyText, locked ? location.Password : null)
                ? new CertificateFileException(location.ConfigKey + keyName, $"the private key in {keyFile} does not belong to the first certificate in {location.CertificateFile}")
                : locked
                    ? new CertificateFileException(location.ConfigKey + ":Password", $"does not open the private key in {keyFile}")
                    : new CertificateFileException(location.ConfigKey + keyName, $"the private key in {keyFile} cannot be read");
        }
    }

    private static CertifiedKey LoadPkcs12(CertificateLocation location, byte[] bytes)
    {
        X509Certificate2Collection all;
        try
        {
            all = X509CertificateLoader.LoadPkcs12Collection(bytes, location.Password, X509KeyStorageFlags.EphemeralKeySet);
        }
        catch (CryptographicException)
        {
            // Nothing but the type of content tells a wrong password from another kind of file, and not always.
            throw IsPkcs12(bytes)
                ? new CertificateFileException(location.ConfigKey + ":Password", location.Password is null
                    ? $"must be given: {location.CertificateFile} does not open without one"
                    : $"does not open {location.CertificateFile}")
                : new CertificateFileException(location.ConfigKey + ":CertificateFile", $"{location.CertificateFile} is neither a PEM nor a PKCS #12 file");
        }

        var leaf = all.FirstOrDefault(c => c.HasPrivateKey)
            ?? throw new CertificateFileException(location.ConfigKey + ":CertificateFile", $"{location.CertificateFile} holds no certificate with a private key");
        all.Remove(leaf);
        return new CertifiedKey(leaf, all);
    }

    private static bool IsPkcs12(byte[] bytes)
    {
        try
        {
            return X509Certificate2.GetCertContentType(bytes) == X509ContentType.Pkcs12;
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    private static X509Certificate2Collection Certificates(string text, string file, string key)
    {
        var found = new X509Certificate2Collection();
        try
        {
            found.ImportFromPem(text);
        }
        catch (CryptographicException)
        {
            throw new CertificateFileException(key, $"a certificate in {file} cannot be read");
        }

        return found.Count > 0 ? found : throw new CertificateFileException(key, $"{file} holds no certificate in PEM");
    }

    private static bool IsReadable(string pem, string? password)
    {
        AsymmetricAlgorithm[] kinds = [RSA.Create(), ECDsa.Create()];
        try
        {
            return kinds.Any(kind => Opens(kind, pem, password));
        }
        finally
        {
            foreach (var kind in kinds)
                kind.Dispose();
        }
    }

    private static bool Opens(AsymmetricAlgorithm kind, string pem, string? password)
    {
        try
        {
            if (password is null)
                kind.ImportFromPem(pem);
            else
                kind.ImportFromEncryptedPem(pem, password);
            return true;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            return false;
        }
    }

    private static byte[] Read(string file, string key)
    {
        try
        {
            var info = new FileInfo(file);
            if (!info.Exists)
                throw new CertificateFileException(key, Directory.Exists(file) ? $"{file} is a directory" : $"there is no file {file}");
            if (info.Length > MaxBytes)
                throw new CertificateFileException(key, $"{file} is larger than 4 MiB and no certificate file");
            return File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CertificateFileException(key, $"{file} cannot be read: {e.Message}");
        }
    }

    private static string Text(byte[] bytes) => System.Text.Encoding.Latin1.GetString(bytes);
}
