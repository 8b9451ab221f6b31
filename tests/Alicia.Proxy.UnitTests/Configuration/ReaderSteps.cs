using Alicia.Proxy.Configuration;
using Microsoft.Extensions.Configuration;

namespace Alicia.Proxy.UnitTests.Configuration;

/// <summary>Reads configuration from pairs or JSON text, for tests that look at values and faults.</summary>
internal static class ReaderSteps
{
    public static (ProxyConfiguration? Value, IReadOnlyList<ConfigurationFault> Faults) Read(params (string Key, string Value)[] pairs) =>
        ConfigurationReader.Read(new ConfigurationBuilder()
            .AddInMemoryCollection(pairs.Select(pair => KeyValuePair.Create(pair.Key, (string?)pair.Value)))
            .Build());

    public static (ProxyConfiguration? Value, IReadOnlyList<ConfigurationFault> Faults) ReadJson(string json) =>
        ConfigurationReader.Read(new ConfigurationBuilder()
            .AddJsonStream(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(json)))
            .Build());

    public static ProxyConfiguration Valid(params (string Key, string Value)[] pairs)
    {
        var (value, faults) = Read(pairs);
        faults.Should().BeEmpty();
        return value!;
    }

    public static ProxyConfiguration ValidJson(string json)
    {
        var (value, faults) = ReadJson(json);
        faults.Should().BeEmpty();
        return value!;
    }

    /// <summary>The only fault of one pair beside an otherwise empty configuration.</summary>
    public static ConfigurationFault FaultOf(params (string Key, string Value)[] pairs)
    {
        var (value, faults) = Read(pairs);
        value.Should().BeNull();
        return faults.Should().ContainSingle().Subject;
    }
}
