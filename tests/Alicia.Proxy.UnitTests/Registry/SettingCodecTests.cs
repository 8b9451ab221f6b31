using System.Text;
using System.Text.Json;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.UnitTests.Registry;

public sealed class SettingCodecTests
{
    /// <summary>Values for each key: valid ones at the borders as configuration text, and ones that break the rule.</summary>
    private static readonly (string[] Good, string[] Bad) FieldValues = (
        ["none", """{"X-A":"1"}""", """{ "Authorization": "Bearer a, b", "x-b": "" }"""],
        ["", "X-A: 1", "{", """{"Host":"x"}""", """{"X-A":1}""", """{"X A":"1"}""", """{"X-A":"a\nb"}"""]);

    private static readonly (string[] Good, string[] Bad) FieldNames = (["none", "X-A", "Cookie, x-b"], ["", "X A", "Host", "X-A,Connection", "X-Forwarded-For"]);

    private static readonly Dictionary<string, (string[] Good, string[] Bad)> Samples = new()
    {
        ["Algorithm"] = (["round_robin", "least_connections", "weighted_round_robin", "random", "power_of_two_choices", "peak_ewma", "consistent_hash"], ["", "Random", "ip_hash", "none"]),
        ["Hash:By"] = (["address", "field", "cookie", "path"], ["", "header", "none"]),
        ["Hash:Name"] = (["none", "X-User", "session_id"], ["", "a b", "a:b", "a;b", "ä"]),
        ["Hash:BoundPercent"] = (["101", "10000"], ["100", "10001", "none", "1.25"]),
        ["Affinity:Cookie"] = (["none", "sticky", "__Host-x"], ["", "a b", "a=b", "a;b", "ä"]),
        ["Affinity:Lifetime"] = (["none", "00:00:01", "365.00:00:00"], ["00:00:00.5", "366.00:00:00", "60"]),
        ["Affinity:Secure"] = (["auto", "always", "never"], ["true", ""]),
        ["Affinity:SameSite"] = (["lax", "strict", "none"], ["Lax", ""]),
        ["MaxConnections"] = (["1", "100000"], ["0", "100001", "1.5", "x", "", "99999999999"]),
        ["Ttl"] = (["none", "OFF", "00:00:05", "1.00:00:00"], ["00:00:04.99", "1.00:00:01", "90", "-00:01:00"]),
        ["HostHeader"] = (["original", "instance"], ["Original", "none"]),
        ["HealthCheck:Enabled"] = (["true", "false", "True"], ["yes", "1", ""]),
        ["HealthCheck:Type"] = (["http", "tcp", "grpc"], ["https", "none"]),
        ["HealthCheck:Path"] = (["/", "/health?x=1"], ["health", "/a b", "", "none", "/ä"]),
        ["HealthCheck:Status"] = (["200-399", "200,204, 301-308", "100-599"], ["", "99", "600", "300-200", "200-", "2xx"]),
        ["HealthCheck:Body"] = (["none", "ok", "übel"], ["", "a\0b"]),
        ["HealthCheck:Host"] = (["none", "tts", "tts:80", "[::1]:80", "10.0.0.1"], ["", "a b", "http://x", "x:123456"]),
        ["HealthCheck:Interval"] = (["00:00:00.1", "1.00:00:00"], ["00:00:00.0999", "1.00:00:00.1", "30", "none", "24:00:00"]),
        ["HealthCheck:Timeout"] = (["00:00:00.01", "01:00:00"], ["00:00:00", "01:00:01"]),
        ["HealthCheck:Fast"] = (["00:00:00.01", "01:00:00"], ["00:00:00", "01:00:01"]),
        ["HealthCheck:Rise"] = (["1", "100"], ["0", "101"]),
        ["HealthCheck:Fall"] = (["1", "100"], ["0", "101"]),
        ["CircuitBreaker:FailureThreshold"] = (["1", "10000"], ["0", "10001"]),
        ["CircuitBreaker:RecoveryTimeout"] = (["00:00:00.1", "01:00:00"], ["00:00:00.01", "01:00:01"]),
        ["CircuitBreaker:FailureStatuses"] = (["500", "500, 502,599", "100"], ["", "99", "600", "5xx", "500-504"]),
        ["CircuitBreaker:SuccessThreshold"] = (["1", "100"], ["0", "101"]),
        ["MaxEjectionPercent"] = (["0", "100"], ["-1", "101"]),
        ["Ejection:Interval"] = (["00:00:01", "01:00:00"], ["00:00:00.9", "01:00:01", "none"]),
        ["Ejection:SuccessRate:Enabled"] = (["true", "false"], ["yes", ""]),
        ["Ejection:SuccessRate:StdevFactor"] = (["0.1", "1.9", "100"], ["0", "0.09", "101", "-1", "1e1", "1,9", "x"]),
        ["Ejection:SuccessRate:MinimumHosts"] = (["3", "10000"], ["2", "10001"]),
        ["Ejection:SuccessRate:MinimumRequests"] = (["1", "1000000"], ["0", "1000001"]),
        ["Ejection:Latency:Enabled"] = (["true", "false"], ["yes", ""]),
        ["Ejection:Latency:StdevFactor"] = (["0.1", "1.9", "100"], ["0", "0.09", "101"]),
        ["Ejection:Latency:MinimumHosts"] = (["3", "10000"], ["2", "10001"]),
        ["Ejection:Latency:MinimumRequests"] = (["1", "1000000"], ["0", "1000001"]),
        ["Timeouts:Connect"] = (["00:00:00.01", "01:00:00"], ["00:00:00", "01:00:01", "off"]),
        ["Timeouts:Response"] = (["00:00:00.01", "1.00:00:00"], ["00:00:00", "1.00:00:01"]),
        ["Timeouts:Idle"] = (["00:00:00.01", "1.00:00:00"], ["00:00:00", "1.00:00:01"]),
        ["Timeouts:WebSocketIdle"] = (["00:00:00.01", "1.00:00:00"], ["00:00:00", "1.00:00:01"]),
        ["Timeouts:EventStreamIdle"] = (["00:00:00.01", "1.00:00:00"], ["00:00:00", "1.00:00:01"]),
        ["Timeouts:Overall"] = (["none", "00:00:00.01", "1.00:00:00"], ["00:00:00", "1.00:00:01"]),
        ["Queue:Length"] = (["0", "100000"], ["-1", "100001"]),
        ["Queue:Timeout"] = (["00:00:00.01", "01:00:00"], ["00:00:00", "01:00:01"]),
        ["Retry:Attempts"] = (["0", "10"], ["-1", "11"]),
        ["Retry:BudgetPercent"] = (["0", "100"], ["-1", "101"]),
        ["Retry:Reserve"] = (["0", "10000"], ["-1", "10001"]),
        ["Retry:Statuses"] = (["502", "502,503"], ["", "1000"]),
        ["Retry:PerTry"] = (["off", "00:00:00.01", "1.00:00:00"], ["00:00:00", "1.00:00:01"]),
        ["Retry:BufferBytes"] = (["0", "16777216"], ["-1", "16777217"]),
        ["SlowStart"] = (["off", "none", "00:00:01", "01:00:00"], ["00:00:00.5", "01:00:01"]),
        ["Tls:Profile"] = (["none", "inner", "a.b_c-1"], ["", "/etc/passwd", "a b", "../x", "ä"]),
        ["Tls:ServerName"] = (["none", "tts", "tts.inner.example.org", "_x.example"], ["", "a b", "*.example", "a..b", "https://x", "::1"]),
        ["RateLimit:RequestsPerSecond"] = (["0", "1000000"], ["-1", "1000001", "0.5"]),
        ["RateLimit:Burst"] = (["0", "1000000"], ["-1", "1000001"]),
        ["RateLimit:By"] = (["service", "client", "field"], ["Client", "none", ""]),
        ["RateLimit:Field"] = (["none", "X-Api-Key"], ["", "X Y", "X:Y"]),
        ["Fields:Request:Set"] = FieldValues,
        ["Fields:Request:Add"] = FieldValues,
        ["Fields:Request:Remove"] = FieldNames,
        ["Fields:Response:Set"] = FieldValues,
        ["Fields:Response:Add"] = FieldValues,
        ["Fields:Response:Remove"] = FieldNames,
        ["Drain:Timeout"] = (["00:00:00", "1.00:00:00"], ["-00:00:01", "1.00:00:01"]),
    };

    public static TheoryData<string> Keys => [.. SettingKeys.All.Select(k => k.ConfigPath)];

    [Fact]
    public void Every_key_has_samples_here_and_a_wire_path_of_its_own()
    {
        Samples.Keys.Should().BeEquivalentTo(SettingKeys.All.Select(k => k.ConfigPath));
        SettingKeys.All.Select(k => k.WirePath).Should().OnlyHaveUniqueItems();
        SettingKeys.HealthCheckInterval.WirePath.Should().Be("health_check.interval");
        SettingKeys.CircuitFailureStatuses.WirePath.Should().Be("circuit_breaker.failure_statuses");
        SettingKeys.All.Select(k => k.Index).Should().Equal(Enumerable.Range(0, SettingKeys.All.Count));
    }

    [Theory]
    [MemberData(nameof(Keys))]
    public void A_value_goes_to_text_and_JSON_and_back_unchanged(string path)
    {
        var key = SettingKeys.All.Single(k => k.ConfigPath == path);
        foreach (var text in Samples[path].Good.Append(key.Codec.ToText(key.DefaultValue)))
        {
            key.Codec.TryParseText(text, out var value).Should().BeTrue("'{0}' keeps the rule: {1}", text, key.Codec.Rule);
            var canonical = key.Codec.ToText(value);
            key.Codec.TryParseText($" {canonical} ", out var again).Should().BeTrue();
            key.Codec.ToText(again).Should().Be(canonical);
            if (value is null)
            {
                Json(key, value).Should().Be("null");
                continue;
            }

            Parse(key, Json(key, value), out var fromJson).Should().BeTrue("{0} was written by the codec itself", Json(key, value));
            key.Codec.ToText(fromJson).Should().Be(canonical);
        }
    }

    [Theory]
    [MemberData(nameof(Keys))]
    public void A_value_beyond_the_rule_is_refused(string path)
    {
        var key = SettingKeys.All.Single(k => k.ConfigPath == path);
        foreach (var text in Samples[path].Bad)
            key.Codec.TryParseText(text, out _).Should().BeFalse("'{0}' breaks the rule: {1}", text, key.Codec.Rule);
        Parse(key, "{}", out _).Should().BeFalse();
        Parse(key, "[]", out _).Should().BeFalse();
        Parse(key, "\"\\u0001\"", out _).Should().BeFalse();
        Parse(key, "-7", out _).Should().BeFalse();
        Parse(key, "1e300", out _).Should().BeFalse();
    }

    [Fact]
    public void Durations_are_seconds_in_JSON_and_never_text()
    {
        Json(SettingKeys.HealthCheckInterval, TimeSpan.FromSeconds(30)).Should().Be("30");
        Json(SettingKeys.HealthCheckInterval, TimeSpan.FromMilliseconds(1500)).Should().Be("1.5");
        Parse(SettingKeys.HealthCheckInterval, "\"00:00:30\"", out _).Should().BeFalse();
        Parse(SettingKeys.Ttl, "\"none\"", out var none).Should().BeTrue();
        none.Should().BeNull();
        Parse(SettingKeys.Ttl, "\"00:01:00\"", out _).Should().BeFalse();
    }

    [Theory]
    [InlineData("HealthCheck:Path", "\"/health\\n\"")]
    [InlineData("HealthCheck:Host", "\"tts\\n\"")]
    [InlineData("HealthCheck:Path", "\"/health\\r\\nX: y\"")]
    [InlineData("HealthCheck:Status", "\"200\\n0\"")]
    public void No_line_break_gets_into_what_becomes_part_of_a_request(string path, string json) =>
        Parse(SettingKeys.All.Single(k => k.ConfigPath == path), json, out _).Should().BeFalse();

    [Fact]
    public void Lists_hold_32_statuses_and_no_more()
    {
        SettingKeys.RetryStatuses.Codec.TryParseText(string.Join(',', Enumerable.Range(500, 32)), out _).Should().BeTrue();
        SettingKeys.RetryStatuses.Codec.TryParseText(string.Join(',', Enumerable.Range(500, 33)), out _).Should().BeFalse();
        Parse(SettingKeys.RetryStatuses, "[\"502\"]", out _).Should().BeFalse();
        Parse(SettingKeys.RetryStatuses, "[502.5]", out _).Should().BeFalse();
    }

    [Theory]
    [InlineData("24:00:00")]
    [InlineData("30")]
    [InlineData("99:00")]
    [InlineData("")]
    public void A_duration_that_NET_reads_in_days_is_refused(string text) => Durations.TryParse(text, out _).Should().BeFalse();

    [Fact]
    public void Days_stand_before_a_dot() => (Durations.TryParse("24.01:00:00", out var value), value).Should().Be((true, new TimeSpan(24, 1, 0, 0)));

    private static bool Parse(SettingKey key, string json, out object? value)
    {
        using var document = JsonDocument.Parse(json);
        return key.Codec.TryParseJson(document.RootElement, out value);
    }

    private static string Json(SettingKey key, object? value)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
            key.Codec.WriteJson(writer, value);
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
