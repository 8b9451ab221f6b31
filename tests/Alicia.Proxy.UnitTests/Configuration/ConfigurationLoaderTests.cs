using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.UnitTests.Configuration;

public sealed class ConfigurationLoaderTests : IDisposable
{
    private readonly TempDirectory _working = new();
    private readonly TempDirectory _program = new();
    private readonly Dictionary<string, string> _environment = [];

    public void Dispose()
    {
        _working.Dispose();
        _program.Dispose();
    }

    [Fact]
    public void Without_any_file_the_defaults_apply_and_the_files_looked_for_are_known()
    {
        var loader = Loader();

        loader.Load().Faults.Should().BeEmpty();
        loader.Files.Should().Equal(
            Path.Combine(_working.Path, "config", "alicia.json"), Path.Combine(_working.Path, "config", "alicia.Production.json"),
            Path.Combine(_program.Path, "config", "alicia.json"), Path.Combine(_program.Path, "config", "alicia.Production.json"));
    }

    [Fact]
    public void Each_layer_wins_over_the_one_before()
    {
        _working.Write("config/alicia.json", Domain("one"));
        DomainNow().Should().Be("one");
        _working.Write("config/alicia.Production.json", Domain("two"));
        DomainNow().Should().Be("two");
        _working.Write("mine.json", Domain("three"));
        DomainNow("--config", "mine.json").Should().Be("three");
        _environment["Routing__Domain"] = "four";
        DomainNow("--config", "mine.json").Should().Be("four");
        DomainNow("--config=mine.json", "--Routing:Domain", "five").Should().Be("five");
        DomainNow("--Routing:Domain=six").Should().Be("six");
    }

    [Fact]
    public void Layers_complete_each_other()
    {
        _working.Write("config/alicia.json", """{ "Services": { "tts": { "Algorithm": "random", "MaxConnections": 5 } } }""");
        _environment["Services__tts__MaxConnections"] = "6";
        _environment["Services__stt__Instances__0__Host"] = "10.0.0.1";

        var services = Valid().Services;

        services.Select(s => s.Name).Should().BeEquivalentTo("tts", "stt");
        services.Single(s => s.Name == "tts").Settings.Keys.Should().HaveCount(2);
    }

    [Fact]
    public void The_environment_names_the_second_file()
    {
        _working.Write("config/alicia.Staging.json", Domain("staging"));
        _environment["ASPNETCORE_ENVIRONMENT"] = "Staging";
        DomainNow().Should().Be("staging");
        _environment["DOTNET_ENVIRONMENT"] = "Production";
        DomainNow().Should().Be("alicia.local");
        _environment["DOTNET_ENVIRONMENT"] = "../../etc";
        Loader().Load().Faults.Should().ContainSingle(f => f.Key == "DOTNET_ENVIRONMENT");
    }

    [Fact]
    public void Files_beside_the_program_count_when_the_working_directory_has_none()
    {
        _program.Write("config/alicia.json", Domain("program"));
        DomainNow().Should().Be("program");
        _working.Write("config/alicia.Production.json", "{}");
        DomainNow().Should().Be("alicia.local", "two directories are never mixed");
    }

    [Fact]
    public void Comments_trailing_commas_and_a_byte_order_mark_are_fine()
    {
        _working.Write("config/alicia.json", "\uFEFF{ // why\n \"Routing\": { \"Domain\": \"x.org\", }, /* more */ }");
        DomainNow().Should().Be("x.org");
    }

    [Fact]
    public void A_missing_config_file_is_a_fault() =>
        Loader("--config", "nowhere.json").Load().Faults.Should().ContainSingle()
            .Which.Key.Should().Be(Path.Combine(_working.Path, "nowhere.json"));

    [Fact]
    public void A_broken_file_is_named_with_the_position_and_the_other_layers_are_still_read()
    {
        var file = _working.Write("config/alicia.json", "{\n  \"Mqtt\": { \"Password\": fhidden }\n}");
        _environment["Registry__Store"] = "postgres";

        var faults = Loader().Load().Faults;

        faults.Select(f => f.Key).Should().Equal(file, "Registry:Store");
        faults[0].Message.Should().Contain("line 2").And.NotContain("hidden");
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("""{ "Routing": { "Domain": "a" }, "routing": { "domain": "b" } }""")]
    [InlineData("")]
    public void Such_a_file_is_no_configuration(string text)
    {
        var file = _working.Write("config/alicia.json", text);
        Loader().Load().Faults.Should().ContainSingle().Which.Key.Should().Be(file);
    }

    [Fact]
    public void Unknown_sections_are_faults_in_files_and_arguments_but_not_in_the_environment()
    {
        _environment["Nonsense__Key"] = "1";
        _environment["LIMITS"] = "somebody else's";
        _environment["HOME"] = "/home/x";
        Loader().Load().Faults.Should().BeEmpty();

        _working.Write("config/alicia.json", """{ "Rooting": { "Domain": "x" } }""");
        Loader("--Nonsense:Key=1").Load().Faults.Select(f => f.Key).Should().BeEquivalentTo("Rooting", "Nonsense");
    }

    [Fact]
    public void An_unknown_key_below_a_known_section_is_a_fault_from_the_environment_too()
    {
        _environment["Registry__Pth"] = "x";
        Loader().Load().Faults.Should().ContainSingle().Which.Key.Should().Be("Registry:Pth");
    }

    [Fact]
    public void The_brokers_old_variables_stand_for_its_keys_and_give_way_to_them()
    {
        _working.Write("config/alicia.json", """{ "Mqtt": { "Host": "file", "Username": "file" } }""");
        _environment["MQTT_BROKER"] = "alias";
        _environment["MQTT_PORT"] = "8883";
        _environment["MQTT_USERNAME"] = "user";
        _environment["MQTT_PASSWORD"] = "secret";
        var mqtt = Valid().Mqtt;
        (mqtt.Host, mqtt.Port, mqtt.Username, mqtt.Password).Should().Be(("alias", 8883, "user", "secret"));

        _environment["Mqtt__Host"] = "named";
        _environment["MQTT_PORT"] = "";
        _environment["MQTT_USERNAME"] = "";
        mqtt = Valid("--Mqtt:Password=argument").Mqtt;
        (mqtt.Host, mqtt.Port, mqtt.Username, mqtt.Password).Should().Be(("named", 1883, "file", "argument"));
    }

    [Fact]
    public void A_list_in_a_variable_replaces_the_array_of_a_file_and_an_array_a_text_of_an_earlier_file()
    {
        _working.Write("config/alicia.json", """{ "Registry": { "AllowedNetworks": ["10.0.0.0/8", "127.0.0.0/8"] }, "Forwarded": { "Trusted": "10.0.0.1" } }""");
        _working.Write("config/alicia.Production.json", """{ "Forwarded": { "Trusted": ["10.0.0.2"] } }""");
        _environment["Registry__AllowedNetworks"] = "192.168.0.0/16;fd00::/8";

        var value = Valid();

        value.Registry.AllowedNetworks.Select(n => n.ToString()).Should().Equal("192.168.0.0/16", "fd00::/8");
        value.ForwardedTrusted.Select(n => n.ToString()).Should().Equal("10.0.0.2/32");
    }

    [Fact]
    public void An_empty_array_empties_the_list_of_an_earlier_file()
    {
        _working.Write("config/alicia.json", """{ "Forwarded": { "Trusted": ["10.0.0.1"] } }""");
        _working.Write("config/alicia.Production.json", """{ "Forwarded": { "Trusted": [] } }""");
        Valid().ForwardedTrusted.Should().BeEmpty();
    }

    [Fact]
    public void Relative_paths_start_in_the_working_directory()
    {
        var value = Valid("--Registry:Path=sub/registry.db", "--Mqtt:Tls:CaFile=ca.pem");
        value.Registry.Path.Should().Be(Path.Combine(_working.Path, "sub", "registry.db"));
        value.Mqtt.Tls!.CaFile.Should().Be(Path.Combine(_working.Path, "ca.pem"));
        Valid("--Registry:Path=/srv/registry.db").Registry.Path.Should().Be("/srv/registry.db");
    }

    [Theory]
    [InlineData("--Registry:Path")]
    [InlineData("hidden")]
    [InlineData("--config")]
    [InlineData("--config=")]
    [InlineData("--")]
    [InlineData("--config=/dev/null", "--config=/dev/null")]
    public void An_argument_that_makes_no_sense_is_a_fault_that_does_not_repeat_it(params string[] args)
    {
        var faults = Loader(args).Load().Faults;
        faults.Should().NotBeEmpty();
        faults.Should().OnlyContain(f => !f.ToString().Contains("hidden"));
    }

    private static string Domain(string domain) => $$"""{ "Routing": { "Domain": "{{domain}}" } }""";

    private ConfigurationLoader Loader(params string[] args) => new(_working.Path, _program.Path, _environment, args);

    private string DomainNow(params string[] args) => Valid(args).Routing.Domain;

    private ProxyConfiguration Valid(params string[] args)
    {
        var load = Loader(args).Load();
        load.Faults.Should().BeEmpty();
        return load.Value!;
    }
}
