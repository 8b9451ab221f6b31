using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.UnitTests.Registry;

public sealed class NameAndHostRuleTests
{
    [Theory]
    [InlineData("a", true)]
    [InlineData("0", true)]
    [InlineData("tts_service", true)]
    [InlineData("a-b", true)]
    [InlineData("", false)]
    [InlineData("A", false)]
    [InlineData("a_", false)]
    [InlineData("-a", false)]
    [InlineData("a.b", false)]
    [InlineData("a/b", false)]
    [InlineData("a\n", false)]
    [InlineData("ä", false)]
    public void Service_names(string name, bool valid) => Names.IsService(name).Should().Be(valid);

    [Theory]
    [InlineData("a", true)]
    [InlineData("A.b:c_d-e", true)]
    [InlineData("Register", true)]
    [InlineData("register", false)]
    [InlineData("balance", false)]
    [InlineData("stats", false)]
    [InlineData("circuit", false)]
    [InlineData("", false)]
    [InlineData(":a", false)]
    [InlineData("a.", false)]
    [InlineData("a b", false)]
    [InlineData("a\n", false)]
    public void Instance_ids(string id, bool valid) => Names.IsInstance(id).Should().Be(valid);

    [Fact]
    public void Names_are_bounded()
    {
        Names.IsService(new string('a', 63)).Should().BeTrue();
        Names.IsService(new string('a', 64)).Should().BeFalse();
        Names.IsInstance(new string('a', 128)).Should().BeTrue();
        Names.IsInstance(new string('a', 129)).Should().BeFalse();
    }

    [Theory]
    [InlineData("10.0.0.5", "10.0.0.5")]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("172.31.255.255", "172.31.255.255")]
    [InlineData("::1", "::1")]
    [InlineData("[::1]", "::1")]
    [InlineData("FD00:0:0::1", "fd00::1")]
    [InlineData("::ffff:10.0.0.5", "10.0.0.5")]
    [InlineData("TTS.Example.Org", "tts.example.org")]
    [InlineData("tts.example.org.", "tts.example.org")]
    [InlineData("my_container", "my_container")]
    [InlineData("_tts", "_tts")]
    [InlineData("a", "a")]
    [InlineData("1a", "1a")]
    [InlineData("0xg", "0xg")]
    public void Hosts_get_one_spelling(string host, string canonical)
    {
        HostRules.TryCanonicalize(host, RegistryRules.Default, out var actual, out var fault).Should().BeTrue(fault);
        actual.Should().Be(canonical);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("a..b")]
    [InlineData("a..")]
    [InlineData(" a")]
    [InlineData("a b")]
    [InlineData("a\n")]
    [InlineData("-a")]
    [InlineData("a-")]
    [InlineData("127.1")]
    [InlineData("127.0.0.1.")]
    [InlineData("1.2.3")]
    [InlineData("1.2.3.4.5")]
    [InlineData("256.0.0.1")]
    [InlineData("2130706433")]
    [InlineData("0x7f.0.0.1")]
    [InlineData("0x7f000001")]
    [InlineData("127.0.0.0x1")]
    [InlineData("010.0.0.1")]
    [InlineData("10.0.0.01")]
    [InlineData("http://10.0.0.5")]
    [InlineData("10.0.0.5/x")]
    [InlineData("10.0.0.5:80")]
    [InlineData("tts:80")]
    [InlineData("user@tts")]
    [InlineData("[10.0.0.5]")]
    [InlineData("[::1")]
    [InlineData("::1]")]
    [InlineData("[[::1]]")]
    [InlineData("[::1]:80")]
    [InlineData("::1/64")]
    [InlineData("[]")]
    [InlineData("fd00::1%eth0")]
    [InlineData("[fd00::1%1]")]
    [InlineData("tts.exämple.org")]
    public void What_is_no_host_is_refused_with_the_rule(string host)
    {
        HostRules.TryCanonicalize(host, RegistryRules.Default, out _, out var fault).Should().BeFalse();
        fault.Should().Contain("must be a DNS name");
    }

    [Theory]
    [InlineData("169.254.169.254")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("[::ffff:a9fe:a9fe]")]
    [InlineData("fe80::1")]
    [InlineData("8.8.8.8")]
    [InlineData("::ffff:8.8.8.8")]
    [InlineData("2001:db8::1")]
    [InlineData("0.0.0.0")]
    [InlineData("::")]
    [InlineData("172.32.0.1")]
    [InlineData("192.169.0.1")]
    [InlineData("11.0.0.0")]
    public void Addresses_outside_the_allowed_networks_are_refused(string host)
    {
        HostRules.TryCanonicalize(host, RegistryRules.Default, out _, out var fault).Should().BeFalse();
        fault.Should().Contain("Registry:AllowedNetworks");
    }

    [Theory]
    [InlineData("169.254.169.254")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("fe80::1")]
    [InlineData("fd00:ec2::254")]
    [InlineData("fd20:ce::254")]
    [InlineData("64:ff9b::a9fe:a9fe")]
    [InlineData("2002:a9fe:a9fe::1")]
    [InlineData("0.0.0.0")]
    [InlineData("255.255.255.255")]
    [InlineData("224.0.0.1")]
    [InlineData("ff02::1")]
    [InlineData("::")]
    public void Some_addresses_are_refused_whatever_is_allowed(string host)
    {
        var all = RegistryRules.Default with { AllowedNetworks = [System.Net.IPNetwork.Parse("0.0.0.0/0"), System.Net.IPNetwork.Parse("::/0")] };
        HostRules.TryCanonicalize(host, all, out _, out _).Should().BeFalse();
        HostRules.TryCanonicalize("8.8.8.8", all, out _, out _).Should().BeTrue();
    }

    [Fact]
    public void Labels_and_names_are_bounded()
    {
        var label = new string('a', 63);
        Ok(label).Should().BeTrue();
        Ok(label + "a").Should().BeFalse();
        Ok($"{label}.{label}.{label}.{label[..61]}").Should().BeTrue("253 characters");
        Ok($"{label}.{label}.{label}.{label[..61]}.").Should().BeTrue("the final dot does not count");
        Ok($"{label}.{label}.{label}.{label[..62]}").Should().BeFalse("254 characters");

        static bool Ok(string host) => HostRules.TryCanonicalize(host, RegistryRules.Default, out _, out _);
    }
}
