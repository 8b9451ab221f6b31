using System.Collections.Frozen;
using System.Security.Cryptography;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Security;

namespace Alicia.Proxy.Api.StatusPage;

/// <summary>
/// The status page at <c>/</c>: plain files, part of the program, that need no key because they hold nothing; what they show comes from the API, with the rights of
/// who looks at them. Nothing comes from another host, and nothing but these files can run in the page.
/// </summary>
internal static class StatusPageEndpoints
{
    /// <summary>
    /// What the page may do: use its own files and talk to its own host. Trusted types without a policy make turning text into markup an error in the browser, so that a name
    /// can never become an element.
    /// </summary>
    private const string ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        + "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    private const string Prefix = "StatusPage/";

    private static readonly FrozenDictionary<string, PageFile> Files = Load();

    public static void MapStatusPage(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapMethods("/", ["GET", "HEAD"], context => SendAsync(context, Files["index.html"]))
            .WithMetadata(new RequiredScope(ApiScopes.None)).ExcludeFromDescription();
        foreach (var (name, file) in Files.Where(f => f.Key != "index.html"))
        {
            endpoints.MapMethods("/page/" + name, ["GET", "HEAD"], context => SendAsync(context, file))
                .WithMetadata(new RequiredScope(ApiScopes.None)).ExcludeFromDescription();
        }
    }

    private static Task SendAsync(HttpContext context, PageFile file)
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        // The files change with the program only; asking again each time keeps parts of two versions from meeting.
        headers.CacheControl = "no-cache";
        headers.ETag = file.ETag;
        if (context.Request.GetTypedHeaders().IfNoneMatch.Any(tag => tag.Tag == "*" || tag.Tag == file.ETag))
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return Task.CompletedTask;
        }

        context.Response.ContentType = file.ContentType;
        context.Response.ContentLength = file.Bytes.Length;
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.Body.WriteAsync(file.Bytes, context.RequestAborted).AsTask();
    }

    private static FrozenDictionary<string, PageFile> Load()
    {
        var assembly = typeof(StatusPageEndpoints).Assembly;
        return assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).ToFrozenDictionary(
            name => name[Prefix.Length..],
            name =>
            {
                using var resource = assembly.GetManifestResourceStream(name)!;
                var bytes = new byte[resource.Length];
                resource.ReadExactly(bytes);
                return new PageFile(bytes, ContentType(name), $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 16))}\"");
            },
            StringComparer.Ordinal);
    }

    private static string ContentType(string name) => Path.GetExtension(name) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".svg" => "image/svg+xml",
        var other => throw new InvalidOperationException($"The status page has a file of an unknown type: {other}"),
    };

    private sealed record PageFile(byte[] Bytes, string ContentType, string ETag);
}
