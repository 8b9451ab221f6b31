namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>How a test wants its proxy started.</summary>
internal sealed record ProxyOptions
{
    /// <summary><c>Listen:Proxy</c>; several with <c>;</c>. Port 0 is any free one, kept over restarts.</summary>
    public string Listen { get; init; } = "http://127.0.0.1:0";

    /// <summary><c>Listen:Management</c>; as <see cref="Listen"/>.</summary>
    public string ListenManagement { get; init; } = "http://127.0.0.1:0";

    /// <summary>Further arguments, such as <c>--Defaults:HealthCheck:Interval=00:00:01</c>. Not for the listeners, which restarts
    /// rewrite.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>
    /// True: instances are probed and their circuits open, as in the field. Off, because most tests are about something else, and many about instances that do nothing but
    /// fail.
    /// </summary>
    public bool Guards { get; init; }

    /// <summary>Added to this process's environment; a null value removes.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>A command, such as <c>unshare --mount</c>, that runs the proxy's own command line; it must end by becoming it.</summary>
    public IReadOnlyList<string> Wrapper { get; init; } = [];

    /// <summary>Written to a file that <c>--config</c> names.</summary>
    public string? ConfigJson { get; init; }

    /// <summary>False: return once it listens, before <c>/health/ready</c> answers 200.</summary>
    public bool WaitForReady { get; init; } = true;
}
