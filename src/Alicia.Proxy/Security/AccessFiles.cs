using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Security;

/// <summary>The files that management's credentials are checked by.</summary>
internal static class AccessFiles
{
    /// <summary>What a start or a reload would find at fault with them.</summary>
    public static IReadOnlyList<ConfigurationFault> Faults(ProxyConfiguration configuration)
    {
        var faults = new List<ConfigurationFault>();
        if (configuration.Jwt?.KeyFile is { } file && JwtKeyFile.Read(file).Fault is { } fault)
            faults.Add(new ConfigurationFault(AccessKeys.JwtKeyFile.Path, $"{file} {fault}"));
        foreach (var certificate in configuration.ClientCertificates)
        {
            if (certificate.CaFile is { } authorities && ClientCertificates.FaultOf(authorities) is { } wrong)
                faults.Add(new ConfigurationFault($"{AccessKeys.Certificates}:{certificate.Name}:CaFile", $"{authorities} {wrong}"));
        }

        return faults;
    }
}
