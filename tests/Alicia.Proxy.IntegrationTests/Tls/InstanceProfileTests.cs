using System.Net;
using System.Net.Http.Json;
using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Http2;
using Alicia.Proxy.IntegrationTests.Metrics;
using Alicia.Proxy.IntegrationTests.Peers;

namespace Alicia.Proxy.IntegrationTests.Tls;

/// <summary>Instances that are trusted by a private authority, and that want to see a certificate: nginx with <c>ssl_verify_client</c>.</summary>
public sealed class InstanceProfileTests : IDisposable
{
    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [NeedsPackageFact("nginx-light")]
    public async Task A_profile_brings_authorities_a_client_certificate_and_probes_that_use_them()
    {
        await using var nginx = await NginxUpstream.StartAsync(_authority.Issue("inner.test"), _authority.BundleFile);
        await using var proxy = await StartAsync();

        foreach (var protocol in new[] { "http1", "http2" })
        {
            await ServiceAsync(proxy, "mutual-" + protocol, nginx, protocol, new { profile = "mutual", server_name = "inner.test" }, "active");
            (await proxy.Http.GetStringAsync($"/mutual-{protocol}/client")).Should().Be("CN=client.test");
            (await proxy.Http.GetStringAsync($"/mutual-{protocol}/said")).Should().EndWith(" inner.test");
        }

        // Probes too are refused without the certificate, and by whoever has another name.
        await ServiceAsync(proxy, "bare", nginx, "http1", new { profile = "trusting", server_name = "inner.test" }, "pending");
        await ServiceAsync(proxy, "named", nginx, "http1", new { profile = "mutual" }, "pending");
        await ServiceAsync(proxy, "strange", nginx, "http1", new { server_name = "inner.test" }, "pending");
        var page = await MetricsPage.ReadAsync(proxy.Api);
        page.Sum("alicia_health_probes_total", ("result", "probe_tls")).Should().BeGreaterThanOrEqualTo(2);
        page.Sum("alicia_health_probes_total", ("result", "probe_status")).Should().BeGreaterThanOrEqualTo(1, "nginx answers 400 to who shows it nothing");
    }

    [NeedsPackageFact("nginx-light")]
    public async Task Who_is_not_trusted_and_what_is_not_configured_is_a_certificate_error()
    {
        await using var nginx = await NginxUpstream.StartAsync(_authority.Issue("inner.test"), _authority.BundleFile);
        await using var proxy = await StartAsync("--Defaults:HealthCheck:Enabled=false");

        await ServiceAsync(proxy, "named", nginx, "http1", new { profile = "mutual" }, "active");
        await ServiceAsync(proxy, "strange", nginx, "http2", new { server_name = "inner.test" }, "active");
        foreach (var service in new[] { "named", "strange" })
        {
            using var answer = await proxy.Http.GetAsync($"/{service}/client");
            answer.StatusCode.Should().Be(HttpStatusCode.BadGateway);
            answer.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=tls_certificate_error");
        }

        await ServiceAsync(proxy, "bare", nginx, "http1", new { profile = "trusting", server_name = "inner.test" }, "active");
        using (var refused = await proxy.Http.GetAsync("/bare/client"))
            refused.StatusCode.Should().Be(HttpStatusCode.BadRequest, "nginx wants a certificate");

        // A change of settings counts for the next request, whatever connections there are.
        using (var patch = await proxy.Registry.PatchServiceAsync("bare", new { tls = new { profile = "mutual" } }))
            patch.StatusCode.Should().Be(HttpStatusCode.OK);
        (await proxy.Http.GetStringAsync("/bare/client")).Should().Be("CN=client.test");

        using var unknown = await proxy.Registry.PatchServiceAsync("bare", new { tls = new { profile = "/etc/passwd" } });
        unknown.StatusCode.Should().Be(HttpStatusCode.BadRequest);
        using var missing = await proxy.Registry.PatchServiceAsync("bare", new { tls = new { profile = "missing" } });
        missing.StatusCode.Should().Be(HttpStatusCode.BadRequest);
        (await missing.Content.ReadAsStringAsync()).Should().Contain("tls.profile").And.Contain("there is no profile 'missing'");
    }

    [NeedsPackageFact("nginx-light")]
    public async Task A_renewed_client_certificate_is_shown_on_connections_from_then_on_and_no_request_is_lost()
    {
        var files = _authority.Issue("client.test");
        await using var nginx = await NginxUpstream.StartAsync(_authority.Issue("inner.test"), _authority.BundleFile);
        await using var proxy = await StartAsync("--Defaults:HealthCheck:Enabled=false");
        await ServiceAsync(proxy, "mutual", nginx, "http2", new { profile = "mutual", server_name = "inner.test" }, "active");
        (await proxy.Http.GetStringAsync("/mutual/client")).Should().Be("CN=client.test");

        var renewed = _authority.Issue("renewed.test");
        File.Copy(renewed.Certificate, files.Certificate, overwrite: true);
        File.Copy(renewed.Key, files.Key, overwrite: true);
        // Any failure on the way ends the wait: EnsureSuccess throws within.
        await Eventually.Until("the renewed certificate is shown", async () =>
        {
            using var answer = await proxy.Http.GetAsync("/mutual/client");
            answer.StatusCode.Should().Be(HttpStatusCode.OK);
            return await answer.Content.ReadAsStringAsync();
        }, said => said == "CN=renewed.test");
    }

    [Fact]
    public async Task Who_speaks_for_one_service_does_not_choose_whose_certificate_is_shown()
    {
        const string Bound = "a-key-for-one-service";
        const string Whole = "a-key-for-everything-";
        await using var proxy = await StartAsync(
            $"--Management:ApiKeys:bound:Key={Bound}", "--Management:ApiKeys:bound:Scopes=admin", "--Management:ApiKeys:bound:Services=web",
            $"--Management:ApiKeys:whole:Key={Whole}", "--Management:ApiKeys:whole:Scopes=admin");

        (await PatchAsync(Whole, new { tls = new { profile = "mutual" } }, HttpMethod.Put)).Should().Be(HttpStatusCode.Created);
        (await PatchAsync(Bound, new { algorithm = "random" }, HttpMethod.Patch)).Should().Be(HttpStatusCode.OK);
        foreach (var tls in new object[] { new { profile = "trusting" }, new { profile = (string?)null }, new { server_name = "x.test" } })
        {
            (await PatchAsync(Bound, new { tls }, HttpMethod.Patch)).Should().Be(HttpStatusCode.Forbidden);
            (await PatchAsync(Bound, new { tls }, HttpMethod.Put)).Should().Be(HttpStatusCode.Forbidden);
        }

        async Task<HttpStatusCode> PatchAsync(string key, object settings, HttpMethod method)
        {
            using var request = new HttpRequestMessage(method, "/services/web") { Content = JsonContent.Create(settings) };
            request.Headers.Add("Authorization", "Bearer " + key);
            using var answer = await proxy.Api.SendAsync(request);
            return answer.StatusCode;
        }
    }

    private Task<ProxyProcess> StartAsync(params string[] arguments)
    {
        var client = _authority.Issue("client.test");
        return ProxyProcess.StartAsync(new ProxyOptions
        {
            Guards = true,
            Arguments =
            [
                $"--Tls:Instances:mutual:CaFile={_authority.BundleFile}",
                $"--Tls:Instances:mutual:CertificateFile={client.Certificate}",
                $"--Tls:Instances:mutual:KeyFile={client.Key}",
                $"--Tls:Instances:trusting:CaFile={_authority.BundleFile}",
                .. arguments,
            ],
        });
    }

    private static async Task ServiceAsync(ProxyProcess proxy, string service, NginxUpstream nginx, string protocol, object tls, string state)
    {
        using (var put = await proxy.Registry.PutServiceAsync(service, new { tls }))
            put.IsSuccessStatusCode.Should().BeTrue(await put.Content.ReadAsStringAsync());
        using var answer = await proxy.Api.PostAsJsonAsync($"/services/{service}/register?wait=10",
            new { instance_id = "one", host = "127.0.0.1", port = nginx.TlsPort, scheme = "https", protocol, health_check = new { path = "/client" } });
        (await RegistryApi.DocumentOfAsync(answer)).GetProperty("state").GetString().Should().Be(state, service);
    }
}
