namespace Alicia.Proxy.Bus;

/// <summary>What a received topic means. The whole topic decides, never a part of it: <c>unregister</c> contains <c>register</c>.</summary>
internal enum TopicMeaning
{
    /// <summary>None of the proxy's topics.</summary>
    None,
    Register,
    Unregister,

    /// <summary>What a service, or somebody who watches it, says of its health.</summary>
    Health,

    /// <summary>The question how the proxy is.</summary>
    HealthCheck,
    Command,
}

/// <summary>The names of everything that the proxy says and hears on the bus, below one root.</summary>
/// <param name="root">First level or levels, such as <c>alicia</c>; without a slash at the end.</param>
internal sealed class Topics(string root)
{
    private readonly string _healthPrefix = $"{root}/system/health/";

    /// <summary>Whether the proxy is there; retained, and its last will.</summary>
    public string Status { get; } = $"{root}/loadbalancer/status";

    /// <summary>What became of instances.</summary>
    public string Health { get; } = $"{root}/loadbalancer/health";

    /// <summary>The last second's traffic.</summary>
    public string Requests { get; } = $"{root}/loadbalancer/requests";

    public string Stats { get; } = $"{root}/loadbalancer/stats";

    public string CommandResult { get; } = $"{root}/loadbalancer/command/result";

    public string Register { get; } = $"{root}/system/discovery/register";

    public string Unregister { get; } = $"{root}/system/discovery/unregister";

    public string HealthCheck { get; } = $"{root}/system/health/check";

    /// <summary>How the proxy itself is.</summary>
    public string OwnHealth { get; } = $"{root}/system/health/{Envelope.OwnSource}";

    public string Command { get; } = $"{root}/loadbalancer/command";

    /// <summary>The same under the name that the proxy announces itself by.</summary>
    public string CommandByName { get; } = $"{root}/load_balancer/command";

    /// <summary>The filters to subscribe to.</summary>
    public IReadOnlyList<string> Subscribed => [Register, Unregister, _healthPrefix + "+", Command, CommandByName];

    public TopicMeaning MeaningOf(string topic) =>
        topic == Register ? TopicMeaning.Register
        : topic == Unregister ? TopicMeaning.Unregister
        : topic == HealthCheck ? TopicMeaning.HealthCheck
        : topic == Command || topic == CommandByName ? TopicMeaning.Command
        : topic.StartsWith(_healthPrefix, StringComparison.Ordinal) && topic.AsSpan(_healthPrefix.Length).IndexOf('/') < 0 ? TopicMeaning.Health
        : TopicMeaning.None;

    /// <summary>Last level of a <see cref="TopicMeaning.Health"/> topic: the service that it is about unless the message names one.</summary>
    public string SubjectOf(string healthTopic) => healthTopic[_healthPrefix.Length..];
}
