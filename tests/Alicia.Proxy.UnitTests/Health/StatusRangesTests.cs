using Alicia.Proxy.Health;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.UnitTests.Health;

public sealed class StatusRangesTests
{
    /// <summary>Settings trim whatever is a blank in Unicode; what they let in must be read here, or the service's probes would end.</summary>
    [Theory]
    [InlineData("200,\u00a0599")]
    [InlineData("\u2003200-299 ,\u0085301")]
    public void Whatever_settings_take_can_be_read(string text)
    {
        SettingKeys.HealthCheckStatus.Codec.TryParseText(text, out var value).Should().BeTrue();

        new StatusRanges((string)value!).Contains(200).Should().BeTrue();
    }
}
