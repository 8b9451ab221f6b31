using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;

namespace Alicia.Proxy.Bus;

/// <summary>Sets the operator's weights of several instances of a service: all of them, or none when one is at fault.</summary>
internal sealed class UpdateWeights(string serviceName, IReadOnlyDictionary<string, int> weights) : IRegistryChange<Service>
{
    public (Service? Value, Rejection? Rejection) Apply(RegistryDraft draft)
    {
        if (draft.Find(serviceName) is not { } service)
            return (null, Rejection.UnknownService(serviceName));
        foreach (var (instance, weight) in weights)
        {
            var patch = new InstancePatch(new Patch<int?>(true, weight), default, default, default);
            var (value, rejection) = new PatchInstance(serviceName, instance, patch).Apply(draft);
            if (value is null)
                return (null, rejection!.Errors is null ? rejection : rejection with { Detail = $"{instance}: {rejection.Detail}" });
            service = value.Service;
        }

        return (service, null);
    }
}
