using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Peers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Alicia.Proxy.IntegrationTests.Http2;

/// <summary>Instances that want TLS: HTTP/2 and HTTP/1.1 over it, under the instance's own name, trusted or not.</summary>
public sealed class TlsInstanceTests : IAsyncLifetime
{
    private const string Name = "secure.test";

    private readonly TestAuthority _authority = new();
    private readonly OwnHosts _hosts = new($"127.0.0.1 {Name} other.test");

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync()
    {
        _authority.Dispose();
        _hosts.Dispose();
        return Task.CompletedTask;
    }

    [NeedsOwnHostsFact("nginx-light")]
    public async Task Nginx_is_asked_over_TLS_by_the_instance_s_name_whatever_host_the_caller_names()
    {
        await using var nginx = await NginxUpstream.StartAsync(_authority.Issue(Name));
        await using var proxy = await StartAsync(trust: true);
        await RegisterAsync(proxy, "two", Name, nginx.TlsPort, "http2");
        await RegisterAsync(proxy, "one", Name, nginx.TlsPort, "http1");

        foreach (var (service, protocol) in new[] { ("two", "HTTP/2.0"), ("one", "HTTP/1.1"), ("two", "HTTP/2.0") })
        {
            foreach (var client in new[] { proxy.Http, proxy.H2c })
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, $"/{service}/said");
                request.Headers.Host = "caller.example";
                using var answer = await client.SendAsync(request);
                (await answer.Content.ReadAsStringAsync()).Should().Be($"{protocol} https caller.example {Name}");
            }
        }
    }

    [NeedsOwnHostsFact("nginx-light")]
    public async Task A_certificate_for_another_name_or_of_an_unknown_authority_is_refused()
    {
        await using var nginx = await NginxUpstream.StartAsync(_authority.Issue(Name));
        await using var trusting = await StartAsync(trust: true);
        await using var strange = await StartAsync(trust: false);

        foreach (var protocol in new[] { "http1", "http2" })
        {
            // The caller's Host is the certificate's name; it is the instance's that counts.
            (await ErrorAsync(trusting, "wrong-" + protocol, "other.test", protocol)).Should().Be("alicia; error=tls_certificate_error");
            (await ErrorAsync(strange, "unknown-" + protocol, Name, protocol)).Should().Be("alicia; error=tls_certificate_error");
        }

        await using var plain = await Backend.StartAsync("plain");
        await RegisterAsync(trusting, "plain", plain.Host, plain.Port, "http2");
        using var garbled = await trusting.Http.GetAsync("/plain/x");
        garbled.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=tls_protocol_error");

        async Task<string> ErrorAsync(ProxyProcess proxy, string service, string host, string protocol)
        {
            await RegisterAsync(proxy, service, host, nginx.TlsPort, protocol);
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/{service}/said");
            request.Headers.Host = Name;
            using var answer = await proxy.Http.SendAsync(request);
            answer.StatusCode.Should().Be(HttpStatusCode.BadGateway);
            return answer.Headers.GetValues("Proxy-Status").Single();
        }
    }

    [NeedsOwnHostsFact("python3-grpcio")]
    public async Task A_gRPC_server_over_TLS_is_reached_and_hears_https()
    {
        var (certificate, key) = _authority.Issue(Name);
        await using var server = await PythonPeer.ServeAsync("grpc_server.py", certificate, key);
        await using var proxy = await StartAsync(trust: true);
        await RegisterAsync(proxy, "echo", Name, server.Port, "http2");
        string[] Call(string scenario, string argument) =>
            [proxy.Listeners.First(l => l.Scheme == "h2c").Authority, "echo.alicia.local", scenario, argument];

        (await PythonPeer.RunAsync("grpc_client.py", Call("unary", "secret"))).GetProperty("answer").GetString().Should().Be("secret");
        (await PythonPeer.RunAsync("grpc_client.py", Call("chat", "50"))).GetProperty("answers").GetInt32().Should().Be(50);
    }

    [NeedsOwnHostsFact]
    public async Task Kestrel_which_refuses_a_scheme_that_is_not_its_transport_s_is_content()
    {
        var (certificate, key) = _authority.Issue(Name);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        using var own = System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPemFile(certificate, key);
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(server => server.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http2;
            listen.UseHttps(own);
        }));
        await using var server = builder.Build();
        server.Run(context => context.Response.WriteAsync($"{context.Request.Protocol} {context.Request.Scheme}"));
        await server.StartAsync();
        await using var proxy = await StartAsync(trust: true);
        await RegisterAsync(proxy, "kestrel", Name, new Uri(server.Urls.First()).Port, "http2");

        (await proxy.Http.GetStringAsync("/kestrel/x")).Should().Be("HTTP/2 https");
        (await proxy.H2c.GetStringAsync("/kestrel/x")).Should().Be("HTTP/2 https");
    }

    private Task<ProxyProcess> StartAsync(bool trust) => ProxyProcess.StartAsync(new ProxyOptions
    {
        Listen = "http://127.0.0.1:0;h2c://127.0.0.1:0",
        Wrapper = _hosts.Wrapper,
        Environment = new Dictionary<string, string?> { ["SSL_CERT_FILE"] = trust ? _authority.BundleFile : null },
    });

    private static async Task RegisterAsync(ProxyProcess proxy, string service, string host, int port, string protocol)
    {
        using var answer = await proxy.Registry.RegisterAsync(
            service, host, port, "one", new { scheme = "https", protocol, health_check = new { type = "tcp" } });
        (await RegistryApi.DocumentOfAsync(answer)).GetProperty("scheme").GetString().Should().Be("https");
    }
}
