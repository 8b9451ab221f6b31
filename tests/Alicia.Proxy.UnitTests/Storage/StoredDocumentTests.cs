using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Storage;
using static Alicia.Proxy.UnitTests.Storage.StoredSamples;

namespace Alicia.Proxy.UnitTests.Storage;

public sealed class StoredDocumentTests
{
    public static TheoryData<string> SettingPaths => new(SettingKeys.All.Select(key => key.WirePath));

    [Fact]
    public void Every_field_of_an_instance_comes_back()
    {
        var instance = Full("tts", "tts-1");

        Reread(instance).ShouldEqual(instance);
    }

    [Fact]
    public void An_instance_without_optional_fields_comes_back_without_them()
    {
        var instance = Plain("tts", "tts-1");

        var reread = Reread(instance);

        reread.ShouldEqual(instance);
        reread.TtlSeconds.Should().BeNull();
        reread.OperatorWeight.Should().BeNull();
        reread.MaxConnections.Should().BeNull();
    }

    [Fact]
    public void Every_protocol_and_every_stored_source_comes_back()
    {
        foreach (var protocol in Enum.GetValues<UpstreamProtocol>())
            Reread(Plain("tts", "a") with { Protocol = protocol }).Protocol.Should().Be(protocol);
        foreach (var source in Enum.GetValues<RegistrationSource>().Except([RegistrationSource.Config]))
            Reread(Plain("tts", "a") with { Source = source }).Source.Should().Be(source);
    }

    [Fact]
    public void Metadata_keeps_its_ordinal_order()
    {
        Reread(Full("tts", "a")).Metadata.KeyComparer.Should().Be(StringComparer.Ordinal);
    }

    [Theory]
    [MemberData(nameof(SettingPaths))]
    public void A_setting_comes_back(string path)
    {
        var key = SettingKeys.All.Single(k => k.WirePath == path);
        foreach (var value in ValuesOf(key))
        {
            var text = StoredDocuments.WriteSettings(SettingOverrides.Empty.With(key, value));
            var settings = StoredDocuments.ReadSettings(text);

            settings.TryGet(key, out var reread).Should().BeTrue(text);
            if (value is IReadOnlyList<int> codes)
                reread.Should().BeAssignableTo<IReadOnlyList<int>>().Which.Should().Equal(codes);
            else if (key.Codec is FieldValuesCodec or FieldNamesCodec)
                key.Codec.ToText(reread).Should().Be(key.Codec.ToText(value), text);
            else
                reread.Should().Be(value, text);
        }
    }

    [Fact]
    public void A_duration_keeps_every_hundred_nanoseconds()
    {
        var random = new Random(20250102);
        for (var i = 0; i < 2000; i++)
        {
            var value = new TimeSpan(random.NextInt64(TimeSpan.TicksPerMillisecond * 100, TimeSpan.TicksPerHour));
            var text = StoredDocuments.WriteSettings(SettingOverrides.Empty.With(SettingKeys.HealthCheckInterval, value));

            StoredDocuments.ReadSettings(text).TryGet(SettingKeys.HealthCheckInterval, out var reread).Should().BeTrue();
            reread.Should().Be(value, text);
        }
    }

    [Fact]
    public void Settings_are_stored_flat_under_their_wire_path()
    {
        var settings = SettingOverrides.Empty.With(SettingKeys.HealthCheckInterval, TimeSpan.FromSeconds(30)).With(SettingKeys.Ttl, null);

        StoredDocuments.WriteSettings(settings).Should().Be("""{"ttl":null,"health_check.interval":30}""");
    }

    [Fact]
    public void Every_kind_of_route_comes_back()
    {
        DeclaredRoute[] routes =
        [
            new(["a.example", "*.b.example"], "/v1/{id}/{**rest}", "/v1"),
            new([], "/only/path", null),
            new(["host.only"], null, null),
            new([], null, null),
        ];

        StoredDocuments.ReadRoutes(StoredDocuments.WriteRoutes([.. routes])).Should().Equal(routes);
    }

    [Theory]
    [InlineData("""{"retry.jitter":1}""", "*\"retry.jitter\"*newer version*")]
    [InlineData("""{"max_connections":0}""", "*\"max_connections\" is not a whole number from 1 to 100000*")]
    [InlineData("""{"max_connections":null}""", "*\"max_connections\" is not*")]
    [InlineData("""{"health_check.path":null}""", "*\"health_check.path\" is not*")]
    [InlineData("""{"max_connections":1,"max_connections":2}""", "*not valid JSON*")]
    [InlineData("""{"algorithm":"\ud800"}""", "*not valid JSON*")]
    [InlineData("[]", "*object*")]
    [InlineData("{", "*not valid JSON*")]
    public void Settings_that_this_version_did_not_write_are_refused(string text, string message)
    {
        FluentActions.Invoking(() => StoredDocuments.ReadSettings(text)).Should().Throw<FormatException>().WithMessage(message);
    }

    [Theory]
    [InlineData("\"port\":8080", "\"port\":0", "*\"port\" is not a whole number from 1 to 65535*")]
    [InlineData("\"port\":8080", "\"port\":\"8080\"", "*\"port\"*")]
    [InlineData("\"port\":8080,", "", "*no \"port\"*")]
    [InlineData("\"source\":\"api\"", "\"source\":\"config\"", "*\"source\" is not one of api, mqtt*")]
    [InlineData("\"protocol\":\"http1\"", "\"protocol\":\"http3\"", "*\"protocol\"*")]
    [InlineData("\"scheme\":\"http\"", "\"scheme\":\"ftp\"", "*\"scheme\"*")]
    [InlineData("2025-01-02", "yesterday", "*\"registered_at\" is not a time*")]
    [InlineData("{", "{\"zone\":1,", "*\"zone\"*newer version*")]
    public void An_instance_that_this_version_did_not_write_is_refused(string part, string replacement, string message)
    {
        var text = StoredInstanceDocument.Write(Plain("tts", "a"));
        text.Should().Contain(part);

        FluentActions.Invoking(() => StoredInstanceDocument.Read("tts", "a", 1, text.Replace(part, replacement, StringComparison.Ordinal)))
            .Should().Throw<FormatException>().WithMessage(message);
    }

    private static Instance Reread(Instance instance) =>
        StoredInstanceDocument.Read(instance.ServiceName, instance.InstanceId, instance.Epoch, StoredInstanceDocument.Write(instance));

    /// <summary>Values of a key: the default, the explicit none where there is one, and one that is set.</summary>
    private static IEnumerable<object?> ValuesOf(SettingKey key)
    {
        yield return key.DefaultValue;
        if (key.Codec.TryParseText("none", out var none) && none is null)
            yield return null;
        yield return key.Codec switch
        {
            IntegerCodec when key == SettingKeys.HashBoundPercent => 150,
            IntegerCodec => 7,
            DecimalCodec => 2.25,
            BooleanCodec => false,
            ChoiceCodec choice => choice.Choices[^1],
            DurationCodec or OptionalDurationCodec => (object)TimeSpan.FromMilliseconds(7250),
            StatusRangesCodec => "200,301-308",
            StatusListCodec => (IReadOnlyList<int>)[418, 599],
            TextCodec when key == SettingKeys.HealthCheckPath => "/a?b=%20\"<e>",
            TextCodec when key == SettingKeys.RateLimitField || key.WirePath == "tls.profile" || key.WirePath == "tls.server_name" => "x-1",
            FieldValuesCodec => FieldNames.NoValues.Add("X-A", "b, \"c\"").Add("Authorization", ""),
            FieldNamesCodec => (IReadOnlyList<string>)["Cookie", "X-A"],
            TextCodec when key == SettingKeys.HashName || key == SettingKeys.AffinityCookie => "__Host-x",
            TextCodec when key == SettingKeys.HealthCheckHost => "[::1]:8080",
            TextCodec => " \"ok\"\n日本 ",
            _ => throw new NotSupportedException($"no sample for {key.WirePath}"),
        };
    }
}
