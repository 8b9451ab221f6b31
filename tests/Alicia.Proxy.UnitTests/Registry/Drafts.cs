using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.UnitTests.Registry;

/// <summary>A registry without a store or a writer: changes applied one after another to the draft they would work on.</summary>
internal sealed class Drafts
{
    public static readonly DateTimeOffset Start = new(2025, 1, 2, 3, 4, 5, TimeSpan.Zero);

    public RegistryDraft Draft { get; private set; } = new(RegistrySnapshot.Empty, Start);

    public RegistrySnapshot Snapshot => Draft.Snapshot;

    /// <summary>Applies a change as the writer does: a refused one leaves no trace.</summary>
    public (T? Value, Rejection? Rejection) Try<T>(IRegistryChange<T> change)
    {
        var own = Draft.Fork();
        var result = change.Apply(own);
        if (result.Rejection is null)
            Draft = own;
        return result;
    }

    /// <summary>Applies a change that must be accepted.</summary>
    public T Do<T>(IRegistryChange<T> change)
    {
        var (value, rejection) = Try(change);
        rejection.Should().BeNull();
        return value!;
    }

    /// <summary>Applies a change that must be refused.</summary>
    public Rejection Refused<T>(IRegistryChange<T> change, RejectionKind kind)
    {
        var revision = Snapshot.Revision;
        var (_, rejection) = Try(change);
        rejection.Should().NotBeNull();
        rejection!.Kind.Should().Be(kind, rejection.Detail);
        Snapshot.Revision.Should().Be(revision);
        return rejection;
    }

    public Service Service(string name) => Snapshot.Services[name];

    public Instance Instance(string service, string id) => Service(service).Find(id)!;

    public static RegistrationRequest Request(string? id = "a", string? host = "10.0.0.5", int? port = 8003) => new() { InstanceId = id, Host = host, Port = port };

    public static RegisterInstance Register(string service, RegistrationRequest request) => new(service, request, RegistrationSource.Api);

    public static RegisterInstance Register(string service, string id = "a", string host = "10.0.0.5", int port = 8003) => Register(service, Request(id, host, port));

    public static PatchInstance Patch(string service, string id, Patch<int?> weight = default, Patch<int?> cap = default,
        Patch<IReadOnlyDictionary<string, string?>> metadata = default, Patch<string> state = default) =>
        new(service, id, new InstancePatch(weight, cap, metadata, state));

    public static Patch<T> Given<T>(T? value) => new(true, value);

    public static ChangeService Put(string service, SettingOverrides? settings = null, params RouteRequest[] routes) =>
        new(service, new ServiceEdit(settings ?? SettingOverrides.Empty, [], routes), replace: true, Precondition.None);

    public static ChangeService PatchSettings(string service, SettingOverrides settings, params SettingKey[] cleared) =>
        new(service, new ServiceEdit(settings, cleared, null), replace: false, Precondition.None);

    public static RouteRequest Route(string? path, params string[] hosts) => new(hosts.Length == 0 ? null : hosts, path, null);

    public static SettingOverrides Settings<T>(SettingKey<T> key, T value) => SettingOverrides.Empty.With(key, value);

    public static ApplyConfiguration Configure(params StaticService[] services) => new(RegistryRules.Default, services);

    public static StaticService Static(string name, params RegistrationRequest[] instances) => new(name, SettingOverrides.Empty, null, instances);
}
