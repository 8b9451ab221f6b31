using Alicia.Proxy.Configuration;
using Alicia.Proxy.Security;

namespace Alicia.Proxy.Api;

/// <summary>The OpenAPI document at <c>/openapi/v1.json</c> and a page to read it at <c>/docs</c>.</summary>
internal static class OpenApi
{
    public static IServiceCollection AddProxyOpenApi(this IServiceCollection services) => services.AddOpenApi("v1", options =>
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info.Title = "Alicia.Proxy management";
            document.Info.Version = HealthEndpoints.Version;
            document.Info.Description = "Registration, settings, balancing and statistics. Errors are RFC 9457 problem documents; durations are seconds.";
            document.Servers = [];
            return Task.CompletedTask;
        }));

    public static void MapProxyOpenApi(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapOpenApi("/openapi/{documentName}.json").WithMetadata(new RequiredScope(ApiScopes.Read));

    public static void UseDocsPage(this IApplicationBuilder app) => app.UseSwaggerUI(options =>
    {
        options.RoutePrefix = "docs";
        options.DocumentTitle = "Alicia.Proxy management";
        options.SwaggerEndpoint("/openapi/v1.json", "v1");
    });
}
