namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Recognises requests that have been here before. Each process marks what it forwards with a <c>Via</c> entry of its own; one that comes in with that entry has
/// gone in a circle.
/// </summary>
internal static class LoopGuard
{
    /// <summary>Received-by pseudonym: unique per process, meaningless to anybody else.</summary>
    private static readonly string Pseudonym = "alicia-" + Guid.NewGuid().ToString("N")[..12];

    private static readonly string Http1 = "1.1 " + Pseudonym;
    private static readonly string Http2 = "2 " + Pseudonym;

    public static bool HasBeenHere(HttpRequest request)
    {
        foreach (var line in request.Headers.Via)
        {
            if (line is not null && line.Contains(Pseudonym, StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    /// <summary>This proxy's entry, to be added behind those of the ones that the request came through.</summary>
    public static string MarkOf(HttpRequest request) => HttpProtocol.IsHttp2(request.Protocol) ? Http2 : Http1;
}
