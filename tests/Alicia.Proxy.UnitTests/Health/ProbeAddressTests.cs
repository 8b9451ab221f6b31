using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.Health;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.UnitTests.Health;

/// <summary>Which address a probe takes, whether it may, and what TLS has to say.</summary>
public sealed class ProbeAddressTests : ProberFixture
{
    [Fact]
    public async Task Each_probe_takes_one_address_each_in_turn_and_no_other_in_its_place()
    {
        await using var instance = RawInstance.Answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        var endpoint = Endpoint(instance.Port, "two.test");
        // Nobody listens on the second.
        endpoint.Use([IPAddress.Parse("127.0.0.1"), IPAddress.Parse("127.0.0.2")]);
        endpoint.ResolvedAt = TimeProvider.System.GetTimestamp();

        var results = new List<ProbeFailure?>();
        for (var i = 0; i < 6; i++)
            results.Add((await ProbeAsync(endpoint)).Failure);

        results.Zip(results.Skip(1)).Should().OnlyContain(pair => pair.First != pair.Second);
        results.Should().Contain(ProbeFailure.Refused).And.Contain((ProbeFailure?)null);
        endpoint.NextSlot().Should().NotBe(endpoint.NextSlot(), "a probe takes no address out of the requests' turns");
    }

    [Fact]
    public async Task A_name_is_resolved_by_the_first_probe()
    {
        await using var instance = RawInstance.Answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        var endpoint = Endpoint(instance.Port, "localhost");
        endpoint.Slots.Length.Should().Be(0);

        // The name may have an IPv6 address, where nobody listens.
        var results = new[] { await ProbeAsync(endpoint), await ProbeAsync(endpoint) };

        results.Should().Contain(r => r.Passed);
        endpoint.Slots.Length.Should().BePositive();
        instance.Heads.Should().Contain(h => h.Contains($"Host: localhost:{instance.Port}\r\n"));
    }

    [Fact]
    public async Task A_name_that_does_not_resolve_is_a_failed_probe()
    {
        var result = await ProbeAsync(Endpoint(80, "nowhere.invalid"));

        result.Failure.Should().Be(ProbeFailure.Dns, result.Detail);
        result.Detail.Should().Contain("nowhere.invalid");
    }

    [Fact]
    public async Task An_address_outside_the_allowed_networks_is_not_probed()
    {
        var result = await ProbeAsync(Endpoint(80, "203.0.113.7"));

        result.Failure.Should().Be(ProbeFailure.Prohibited);
        result.Elapsed.Should().BeLessThan(TimeSpan.FromSeconds(2));
    }

    [Theory]
    [InlineData("http")]
    [InlineData("tcp")]
    public async Task A_certificate_that_nobody_trusts_fails_the_probe(string type)
    {
        using var certificate = SelfSigned();
        await using var instance = RawInstance.OnConnection(async (stream, cancellation) =>
        {
            await using var tls = new SslStream(stream);
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = certificate }, cancellation);
            await RawInstance.ClosedAsync(tls, cancellation);
        });

        var result = await ProbeAsync(Endpoint(instance.Port, scheme: "https"), (SettingKeys.HealthCheckType, type));

        result.Failure.Should().Be(ProbeFailure.Tls, result.Detail);
        result.Detail.Should().Contain("certificate");
    }

    [Theory]
    [InlineData("http")]
    [InlineData("tcp")]
    public async Task One_that_does_not_speak_TLS_fails_the_probe(string type)
    {
        await using var instance = RawInstance.OnConnection(async (stream, cancellation) =>
        {
            await stream.WriteAsync("HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray(), cancellation);
            await RawInstance.ClosedAsync(stream, cancellation);
        });

        (await ProbeAsync(Endpoint(instance.Port, scheme: "https"), (SettingKeys.HealthCheckType, type))).Failure.Should().Be(ProbeFailure.Tls);
    }

    [Fact]
    public async Task A_handshake_that_hangs_takes_the_timeout()
    {
        await using var instance = RawInstance.Hanging();

        var result = await ProbeAsync(
            Endpoint(instance.Port, scheme: "https"), (SettingKeys.HealthCheckType, "tcp"), (SettingKeys.HealthCheckTimeout, TimeSpan.FromMilliseconds(200)));

        result.Failure.Should().Be(ProbeFailure.Timeout, result.Detail);
        result.Detail.Should().EndWith("a connection");
    }

    private static X509Certificate2 SelfSigned()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256);
        return request.CreateSelfSigned(DateTimeOffset.UnixEpoch, new DateTimeOffset(2100, 1, 1, 0, 0, 0, TimeSpan.Zero));
    }
}
