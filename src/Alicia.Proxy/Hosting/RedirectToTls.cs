using System.Globalization;
using Alicia.Proxy.Callers;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// Answers whoever comes to a redirecting listener with the same address under <c>https://</c>. Looks at nothing but host and target: no service, no instance, no file.
/// </summary>
internal static class RedirectToTls
{
    private const int StandardPort = 443;

    /// <param name="app">The pipeline of such connections.</param>
    /// <param name="port">Where <c>https://</c> listens on the data plane, once it does; asked when configuration names no port.</param>
    public static void UseRedirectToTls(this IApplicationBuilder app, Func<int> port)
    {
        var configuration = app.ApplicationServices.GetRequiredService<CurrentConfiguration>();
        app.Run(context =>
        {
            var listen = configuration.Value.Listen;
            if (context.Features.Get<GuardedInput>()?.Refusal is { } refusal)
            {
                context.Response.StatusCode = refusal.Status;
            }
            else if (LocationOf(context.Request.Host, context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestFeature>()!.RawTarget, listen.RedirectPort ?? port()) is { } location)
            {
                context.Response.StatusCode = listen.RedirectStatus;
                context.Response.Headers.Location = location;
            }
            else
            {
                context.Response.StatusCode = StatusCodes.Status400BadRequest;
            }

            // Bodies are meant for the other place; what has been sent of one is not read.
            if (context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true)
                context.Response.Headers.Connection = "close";
            context.Response.ContentLength = 0;
            return Task.CompletedTask;
        });
    }

    /// <summary>The same host and target under https, or null when the request names no host.</summary>
    /// <param name="host">As the request names it; its port is that of this listener and is left out.</param>
    /// <param name="target">As it stands in the request line: a path, an absolute URL, or <c>*</c>.</param>
    /// <param name="port">443 is not written.</param>
    public static string? LocationOf(HostString host, string target, int port)
    {
        if (host.Host is not { Length: > 0 } name || name.AsSpan().ContainsAnyExcept(HostCharacters))
            return null;
        var scheme = target.IndexOf("://", StringComparison.Ordinal);
        // "/a?b=http://c" holds one too; only what begins with a scheme is in absolute form.
        if (!target.StartsWith('/') && scheme > 0)
            target = target.IndexOfAny(['/', '?'], scheme + 3) is >= 0 and var at ? target[at..] : "";
        if (!target.StartsWith('/'))
            target = target.StartsWith('?') ? "/" + target : "/";
        return port == StandardPort ? $"https://{name}{target}" : string.Create(CultureInfo.InvariantCulture, $"https://{name}:{port}{target}");
    }

    private static readonly System.Buffers.SearchValues<char> HostCharacters =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~[]:%!$&'()*+,;=");
}
