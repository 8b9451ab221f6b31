namespace Alicia.Proxy.Tls;

internal static class TlsServices
{
    /// <summary>Adds certificates for callers and for instances, and the watch over their files.</summary>
    public static IServiceCollection AddTls(this IServiceCollection services) =>
        services.AddSingleton<CertificateStore>().AddSingleton<Handshakes>().AddHostedService(s => s.GetRequiredService<CertificateStore>());
}
