using System.Globalization;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Tls;

/// <summary>One handshake by <c>openssl s_client</c>, and what it says of it.</summary>
internal sealed record OpenSsl(int ExitCode, string Said)
{
    /// <summary>Common name of the server's certificate, or null when none came.</summary>
    public string? Name => Said.Split('\n').FirstOrDefault(l => l.StartsWith("subject=", StringComparison.Ordinal))?.Split("CN")[1].Trim(' ', '=');

    /// <summary>Shakes hands and hangs up. The certificate must lead to the authority in <paramref name="caFile"/>.</summary>
    public static async Task<OpenSsl> HandshakeAsync(Uri address, string caFile, params string[] arguments)
    {
        await using var process = ChildProcess.Start("openssl",
        [
            "s_client", "-connect", string.Create(CultureInfo.InvariantCulture, $"{address.Host}:{address.Port}"), "-CAfile", caFile, "-verify_return_error", .. arguments,
        ]);
        process.CloseInput();
        var code = await process.WaitForExitAsync();
        return new OpenSsl(code, string.Join('\n', [.. process.Output, .. process.Errors]));
    }
}
