using Alicia.Proxy.Configuration;
using Alicia.Proxy.Security;
using Microsoft.OpenApi;

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
            foreach (var (path, item) in document.Paths)
                Tidy(path, item.Operations!);
            return Task.CompletedTask;
        }));

    /// <summary>
    /// Makes one path's calls what code generators take: HEAD, which every GET answers, is not a call of its own, a call that takes several methods has an id
    /// for each, and the rest of an in-line path is a parameter like any other.
    /// </summary>
    private static void Tidy(string path, Dictionary<HttpMethod, OpenApiOperation> operations)
    {
        if (operations.ContainsKey(HttpMethod.Get))
            operations.Remove(HttpMethod.Head);
        var repeated = operations.Values.GroupBy(o => o.OperationId).Where(g => g.Count() > 1).Select(g => g.Key).ToArray();
        foreach (var (method, operation) in operations)
        {
            if (repeated.Contains(operation.OperationId))
                operation.OperationId += string.Concat(method.Method[..1], method.Method[1..].ToLowerInvariant());
            if (path.EndsWith("{path}", StringComparison.Ordinal))
            {
                (operation.Parameters ??= []).Add(new OpenApiParameter
                {
                    Name = "path",
                    In = ParameterLocation.Path,
                    Required = true,
                    Schema = new OpenApiSchema { Type = JsonSchemaType.String },
                });
            }
        }
    }

    public static void MapProxyOpenApi(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapOpenApi("/openapi/{documentName}.json").WithMetadata(new RequiredScope(ApiScopes.Read));

    public static void UseDocsPage(this IApplicationBuilder app) => app.UseSwaggerUI(options =>
    {
        options.RoutePrefix = "docs";
        options.DocumentTitle = "Alicia.Proxy management";
        options.SwaggerEndpoint("/openapi/v1.json", "v1");
    });
}
