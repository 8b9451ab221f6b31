using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// The verb that asks a running proxy on this machine whether it is ready: the health check of a container image that has no shell and no curl.
/// </summary>
internal static class HealthProbe
{
    /// <summary>An orchestrator's own patience is usually longer; an answer that takes so long is no answer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <returns>0 when the proxy is ready, else 1.</returns>
    public static async Task<int> RunAsync(ProxyConfiguration configuration)
    {
        // One without a PROXY header, if there is any, is the shorter way.
        var listener = configuration.Listen.Management.FirstOrDefault(l => !l.ProxyProtocol) ?? configuration.Listen.Management[0];
        var host = listener.Host is "*" or "0.0.0.0" or "::" ? "localhost" : listener.Host.Contains(':') ? $"[{listener.Host}]" : listener.Host;
        using var client = new HttpClient(LocalCalls.Handler(listener)) { Timeout = Patience };
        try
        {
            using var answer = await client.GetAsync(new Uri($"{(listener.Scheme == ListenScheme.Https ? "https" : "http")}://{host}:{listener.Port}/health/ready"));
            await Console.Out.WriteLineAsync(answer.IsSuccessStatusCode ? "ready" : $"not ready ({(int)answer.StatusCode})");
            return answer.IsSuccessStatusCode ? ExitCodes.Success : ExitCodes.Failure;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            await Console.Error.WriteLineAsync($"No proxy answers at {listener}: {e.Message}");
            return ExitCodes.Failure;
        }
    }
}
