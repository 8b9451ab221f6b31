using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.Options;

namespace Alicia.Proxy.Security;

internal static class AccessServices
{
    /// <summary>Adds what decides who may use management.</summary>
    public static IServiceCollection AddAccess(this IServiceCollection services)
    {
        services.AddSingleton<ManagementGuard>().AddSingleton<Credentials>().AddSingleton<Sessions>().AddSingleton<ClientCertificates>();
        services.AddSingleton<WrongCredentials>().AddSingleton<AccessCounters>().AddSingleton<AuditLog>();
        // The bearer handler on its own: the whole of authentication would bring a key ring that is written to disk and that nothing here uses.
        services.AddWebEncoders();
        services.AddAuthenticationCore(options => options.AddScheme<JwtBearerHandler>(JwtTokens.Scheme, null));
        services.AddTransient<JwtBearerHandler>();
        services.AddSingleton<IPostConfigureOptions<JwtBearerOptions>, JwtBearerPostConfigureOptions>();
        services.AddSingleton<JwtTokens>();
        services.AddSingleton<IConfigureOptions<JwtBearerOptions>>(s => s.GetRequiredService<JwtTokens>());
        services.AddSingleton<IOptionsChangeTokenSource<JwtBearerOptions>>(s => s.GetRequiredService<JwtTokens>());
        return services;
    }
}
