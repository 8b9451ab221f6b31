using System.Text.Json;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Bus;

/// <summary>Carries out what operators order over the bus, and says what came of it: done and in force, or refused and why.</summary>
/// <param name="registry">What is changed.</param>
/// <param name="applied">Completes when requests are routed by that revision.</param>
/// <param name="answer">Publishes a result: its sender, and what writes the payload.</param>
internal sealed class CommandDesk(ServiceRegistry registry, Func<long, CancellationToken, Task> applied, Action<CommandSender, Action<Utf8JsonWriter>> answer)
{
    /// <returns>Why it had no effect, or null when it had.</returns>
    public async Task<InboundMessage.WithoutEffect?> CarryOutAsync(InboundMessage.Order order, CancellationToken cancellation)
    {
        var rejection = order.Command switch
        {
            BusCommand.SetAlgorithm set => await SetAlgorithmAsync(set, cancellation),
            BusCommand.UpdateWeights update => await SubmitAsync(new UpdateWeights(update.Service, update.Weights), cancellation),
            BusCommand.Drain drain => await SubmitAsync(new PatchInstance(drain.Service, drain.InstanceId, Draining), cancellation),
            _ => throw new ArgumentOutOfRangeException(nameof(order), order.Command, null),
        };
        if (rejection is null)
        {
            answer(order.Sender, json => WriteResult(json, order.Sender, order.Command.Service, null, null));
            return null;
        }

        var known = registry.Snapshot.TryGet(order.Command.Service, out _);
        var refused = new InboundMessage.WithoutEffect(ReasonOf(rejection, known), Words(rejection), order.Sender);
        answer(order.Sender, json => WriteResult(json, order.Sender, order.Command.Service, refused.Reason.Name(), refused.Detail));
        return refused;
    }

    /// <summary>Tells the sender of a command that could not be read.</summary>
    public void Refuse(CommandSender sender, InboundMessage.WithoutEffect refused) =>
        answer(sender, json => WriteResult(json, sender, null, refused.Reason.Name(), refused.Detail));

    /// <param name="rejection">What the registry said.</param>
    /// <param name="serviceKnown">Whether the service is registered.</param>
    public static BusReason ReasonOf(Rejection rejection, bool serviceKnown) => rejection.Kind switch
    {
        RejectionKind.Invalid => BusReason.BadField,
        RejectionKind.NotFound => serviceKnown ? BusReason.UnknownInstance : BusReason.UnknownService,
        RejectionKind.StoreUnavailable => BusReason.StoreUnavailable,
        _ => BusReason.Conflict,
    };

    /// <summary>A refusal on one line, fields and all.</summary>
    public static string Words(Rejection rejection) => rejection.Errors is { } errors
        ? string.Join("; ", errors.SelectMany(e => e.Value.Select(message => $"{e.Key} {message}")).Take(4))
        : rejection.Detail;

    private static InstancePatch Draining { get; } = new(default, default, default, new Patch<string>(true, "draining"));

    private async Task<Rejection?> SetAlgorithmAsync(BusCommand.SetAlgorithm command, CancellationToken cancellation)
    {
        var codec = SettingKeys.Algorithm.Codec;
        if (!codec.TryParseText(command.Algorithm, out var algorithm))
        {
            return new Rejection(RejectionKind.Invalid, "The algorithm is not valid.",
                new Dictionary<string, string[]> { [SettingKeys.Algorithm.WirePath] = ["must be " + codec.Rule] });
        }

        var edit = new ServiceEdit(SettingOverrides.Empty.With(SettingKeys.Algorithm, algorithm), [], null);
        return await SubmitAsync(new ChangeService(command.Service, edit, replace: false, Precondition.None), cancellation);
    }

    private async Task<Rejection?> SubmitAsync<T>(IRegistryChange<T> change, CancellationToken cancellation)
    {
        var result = await registry.SubmitAsync(change, cancellation);
        if (result.Accepted)
            await applied(result.Revision, cancellation);
        return result.Rejection;
    }

    private static void WriteResult(Utf8JsonWriter json, CommandSender sender, string? service, string? error, string? detail)
    {
        json.WriteString("message_id", sender.MessageId);
        json.WriteString("command", sender.Command);
        json.WriteString("service_name", service);
        json.WriteBoolean("success", error is null);
        json.WriteString("error", error);
        json.WriteString("detail", detail);
    }
}
