namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>The field that says that the proxy itself made an answer, and why (RFC 9209).</summary>
internal static class ProxyStatus
{
    private const string Before = "error=";

    /// <returns>The type of error; null when there is none.</returns>
    public static string? ErrorOf(string? value)
    {
        var at = value?.IndexOf(Before, StringComparison.Ordinal) ?? -1;
        return at < 0 ? null : value![(at + Before.Length)..].Split(';', ' ')[0];
    }

    public static string? ErrorOf(HttpResponseMessage answer) =>
        answer.Headers.TryGetValues("Proxy-Status", out var values) ? ErrorOf(values.First()) : null;
}
