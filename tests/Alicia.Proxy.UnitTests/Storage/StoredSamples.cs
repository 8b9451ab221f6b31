using System.Collections.Immutable;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.UnitTests.Storage;

/// <summary>Services and instances for the store tests.</summary>
internal static class StoredSamples
{
    public static Instance Plain(string service, string id, long epoch = 1) => new()
    {
        ServiceName = service,
        InstanceId = id,
        Epoch = epoch,
        Scheme = "http",
        Host = "10.0.0.5",
        Port = 8080,
        RegisteredAt = new DateTimeOffset(2025, 1, 2, 3, 4, 5, TimeSpan.Zero),
        Source = RegistrationSource.Api,
    };

    /// <summary>Every field away from its default.</summary>
    public static Instance Full(string service, string id, long epoch = 7) => new()
    {
        ServiceName = service,
        InstanceId = id,
        Epoch = epoch,
        Scheme = "https",
        Host = "2001:db8::1",
        Port = 65535,
        Protocol = UpstreamProtocol.Http2,
        RegisteredWeight = 1000,
        OperatorWeight = 3,
        MaxConnections = 17,
        TtlSeconds = 90,
        HealthCheck = SettingOverrides.Empty
            .With(SettingKeys.HealthCheckType, "grpc")
            .With(SettingKeys.HealthCheckBody, null)
            .With(SettingKeys.HealthCheckInterval, TimeSpan.FromMilliseconds(1234)),
        Metadata = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal)
            .Add("", "empty name")
            .Add("quote\"and\\slash", "line\nbreak\ttab\0nul")
            .Add("emoji 🙂", "日本語 <&> '")
            .Add("Zone", "upper")
            .Add("zone", ""),
        RegisteredAt = new DateTimeOffset(638_712_345_678_901_234L, TimeSpan.FromMinutes(330)),
        Source = RegistrationSource.Mqtt,
        OperatorDrain = true,
    };

    public static StoredService Service(string name, long revision = 1, SettingOverrides? settings = null, params DeclaredRoute[] routes) =>
        new(name, revision, settings ?? SettingOverrides.Empty, [.. routes]);

    public static StoreChange.PutService Put(StoredService service) => new(service);

    public static StoreChange.PutInstance Put(Instance instance) => new(instance);

    /// <summary>The settings that are given, by wire path.</summary>
    public static Dictionary<string, object?> ToDictionary(SettingOverrides settings) =>
        settings.Keys.ToDictionary(key => key.WirePath, key => settings.TryGet(key, out var value) ? value : "absent");

    /// <summary>Compares all members; overrides and routes by what they hold.</summary>
    public static void ShouldEqual(this Instance actual, Instance expected)
    {
        ToDictionary(actual.HealthCheck).Should().BeEquivalentTo(ToDictionary(expected.HealthCheck));
        actual.Metadata.Should().Equal(expected.Metadata);
        actual.RegisteredAt.EqualsExact(expected.RegisteredAt).Should().BeTrue();
        // What is left is compared by the record, which sees fields that are added later on.
        (actual with { HealthCheck = expected.HealthCheck, Metadata = expected.Metadata }).Should().Be(expected);
    }

    public static void ShouldEqual(this StoredService actual, StoredService expected)
    {
        ToDictionary(actual.Settings).Should().BeEquivalentTo(ToDictionary(expected.Settings), options => options.WithStrictOrdering());
        actual.Routes.Should().Equal(expected.Routes);
        (actual with { Settings = expected.Settings, Routes = expected.Routes }).Should().Be(expected);
    }
}
