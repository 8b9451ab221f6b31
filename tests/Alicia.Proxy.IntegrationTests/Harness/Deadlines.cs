namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>How long tests wait before they call a thing failed. Generous: a busy machine must not fail a test, only a fault
/// must.</summary>
internal static class Deadlines
{
    /// <summary>Until a started process is ready.</summary>
    public static readonly TimeSpan Start = TimeSpan.FromSeconds(30);

    /// <summary>Until a condition holds or a request is answered.</summary>
    public static readonly TimeSpan Wait = TimeSpan.FromSeconds(20);

    /// <summary>Until a process that was asked to end has ended; above the proxy's own shutdown time of ten seconds.</summary>
    public static readonly TimeSpan Exit = TimeSpan.FromSeconds(20);
}
