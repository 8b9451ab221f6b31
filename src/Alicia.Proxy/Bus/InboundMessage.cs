using System.Globalization;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Bus;

/// <summary>A message as it came from the broker.</summary>
/// <param name="Topic">Where it was published.</param>
/// <param name="Payload">Its bytes; empty when it is larger than <see cref="Envelope.MaxBytes"/>, for then nobody reads them.</param>
/// <param name="Length">Its length in bytes.</param>
/// <param name="Retained">The broker had kept it; it may be of any age.</param>
internal readonly record struct RawMessage(string Topic, ReadOnlyMemory<byte> Payload, long Length, bool Retained);

/// <summary>What a received message wants.</summary>
internal abstract record InboundMessage
{
    /// <summary>Who the sender says that it is, or null. Nobody has checked that.</summary>
    public string? From { get; init; }

    /// <summary>An instance announces itself.</summary>
    /// <param name="Service">Name, not yet checked.</param>
    /// <param name="Request">The rest, not yet checked. Without host and port configuration says where the service lives.</param>
    public sealed record Registration(string Service, RegistrationRequest Request) : InboundMessage;

    /// <summary>An instance goes.</summary>
    /// <param name="Service">Its service.</param>
    /// <param name="InstanceId">Null: the one that the service registered over the bus.</param>
    /// <param name="Will">The broker says so on behalf of a client that it lost: a suspicion, not a verdict.</param>
    public sealed record Unregistration(string Service, string? InstanceId, bool Will) : InboundMessage;

    /// <summary>Somebody says how an instance is.</summary>
    /// <param name="Service">Its service.</param>
    /// <param name="InstanceId">Null: the only one that the service registered over the bus.</param>
    /// <param name="Healthy">False: it should be looked at.</param>
    /// <param name="Status">The word that was said.</param>
    public sealed record Evidence(string Service, string? InstanceId, bool Healthy, string Status) : InboundMessage;

    /// <summary>Somebody asks how the proxy is.</summary>
    public sealed record HealthQuestion : InboundMessage;

    /// <summary>An operator wants something changed.</summary>
    public sealed record Order(BusCommand Command, CommandSender Sender) : InboundMessage;

    /// <summary>It has no effect.</summary>
    /// <param name="Reason">Why.</param>
    /// <param name="Detail">The same in words, for the log and for the sender of a command.</param>
    /// <param name="Command">Whom to tell, when it was a command.</param>
    public sealed record WithoutEffect(BusReason Reason, string Detail, CommandSender? Command = null) : InboundMessage;
}

/// <summary>Whom the result of a command is for.</summary>
/// <param name="Command">What the sender called it, or null.</param>
/// <param name="MessageId">Id of the sender's message, or null.</param>
/// <param name="Source">Who sent it, or null.</param>
internal sealed record CommandSender(string? Command, string? MessageId, string? Source);

/// <summary>What an operator may order over the bus.</summary>
internal abstract record BusCommand(string Service)
{
    /// <summary>The order in a few words, for the audit log.</summary>
    public abstract string Words { get; }

    public sealed record SetAlgorithm(string Service, string Algorithm) : BusCommand(Service)
    {
        public override string Words => $"algorithm={Algorithm} of {Service}";
    }

    public sealed record UpdateWeights(string Service, IReadOnlyDictionary<string, int> Weights) : BusCommand(Service)
    {
        public override string Words => string.Create(CultureInfo.InvariantCulture, $"weights of {Service}: {string.Join(", ", Weights.Select(w => $"{w.Key}={w.Value}"))}");
    }

    public sealed record Drain(string Service, string InstanceId) : BusCommand(Service)
    {
        public override string Words => $"state=draining of {Service}/{InstanceId}";
    }
}
