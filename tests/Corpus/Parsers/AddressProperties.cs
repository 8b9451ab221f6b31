using System.Globalization;
using System.Net;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Health;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Corpus.Parsers;

/// <summary>Where an instance lives.</summary>
internal sealed class InstanceHostProperty() : ParserProperty("HostRules", "takes one spelling for each host, which stays as it is; an address is taken only inside the networks, whatever it is written like")
{
    private static readonly string[] Parts =
    [
        "127.0.0.1", "10.0.0.5", "169.254.169.254", "0x7f", "0177", "1", ".", ".", "::1", "[", "]", "::ffff:", "fe80::1", "%eth0", "a", "alicia_tts", "-", "EXAMPLE", ":80", "/", "@", "é", "192.168.1.1", "8.8.8.8", "2130706433", "2002:a9fe:a9fe::", "64:ff9b::", "fd00::1",
    ];

    public override void Check(Random random)
    {
        var host = random.Mutated(random.Text(Parts, 3));
        if (!HostRules.TryCanonicalize(host, RegistryRules.Default, out var canonical, out var fault))
        {
            Require(fault.Length > 0, "is refused without a word", host);
            return;
        }

        Require(HostRules.TryCanonicalize(canonical, RegistryRules.Default, out var again, out _) && again == canonical, $"is '{canonical}', and that '{again}'", host);
        Require(canonical.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' or ':') && canonical == canonical.ToLowerInvariant(), $"is '{canonical}'", host);
        // What resolvers read as an address must have been read as one.
        if (IPAddress.TryParse(canonical, out var address))
            Require(HostRules.TryParseLiteral(canonical, out var literal) && literal.Equals(address) && RegistryRules.Default.Allows(address), $"is {address}", host);
    }
}

/// <summary>Addresses in configuration.</summary>
internal sealed class ConfiguredAddressProperty() : ParserProperty("ListenAddress, InstanceAddress and NetworksCodec", "what is taken is written as what is taken again and is the same")
{
    private static readonly string[] Parts = ["http://", "https://", "h2c://", "proxy+", "127.0.0.1", "[::1]", "localhost", "*", ":", "8080", "0", "65536", "alicia_{service_name}", "a.b", "/", "10.0.0.0", "/8", "fd00::", "/128", "é", " ", "::ffff:10.0.0.0/104", ","];

    public override void Check(Random random)
    {
        var text = random.Mutated(random.Next(2) == 0 ? random.Text(Parts, 4) : random.Of("http://", "proxy+https://", "h2c://") + random.Of("127.0.0.1", "[::1]", "*", "localhost", "[0:0::1]") + ":" + random.Next(70_000).ToString(CultureInfo.InvariantCulture));
        if (ListenAddress.TryParse(text, out var listen))
            Require(ListenAddress.TryParse(listen.ToString(), out var again) && again == listen, $"is {listen}", text);
        var template = random.Next(2) == 0;
        if (InstanceAddress.TryParse(text, template, out var instance))
            Require(InstanceAddress.TryParse(instance.ToString(), template, out var again) && again == instance, $"is {instance}", text);
        var networks = new NetworksCodec(bareAddresses: random.Next(2) == 0, linkLocal: random.Next(2) == 0);
        if (networks.TryParseText(text, out var list))
            Require(networks.TryParseText(networks.ToText(list), out var again) && again.SequenceEqual(list), $"is {networks.ToText(list)}", text);
    }
}

/// <summary>Statuses that mean alive.</summary>
internal sealed class StatusRangesProperty() : ParserProperty("StatusRanges", "has the statuses that the text names, for every text that the settings take")
{
    private static readonly string[] Parts = ["200", "399", "-", ",", ", ", "100", "599", "600", "99", " ", "204", "301-308", "+", "é"];

    public override void Check(Random random)
    {
        var text = random.Mutated(random.Text(Parts, 5));
        if (!SettingKeys.HealthCheckStatus.Codec.TryParseText(text, out var value))
            return;
        var ranges = new StatusRanges((string)value!);
        var named = text.Split(',').Select(p => p.Split('-').Select(s => int.Parse(s.Trim(), CultureInfo.InvariantCulture)).ToArray()).ToArray();
        for (var status = 95; status < 605; status += random.Next(1, 9))
            Require(ranges.Contains(status) == named.Any(r => status >= r[0] && status <= r[^1]), $"{status}", text);
    }
}
