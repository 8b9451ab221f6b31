using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Names;

/// <summary>A name server that takes questions and never answers: the caller hears of it within the service's connect timeout.</summary>
public sealed class SilentNameServerTests
{
    [NeedsOwnHostsFact]
    public async Task A_name_that_does_not_resolve_in_time_is_a_dns_timeout()
    {
        // Its own loopback address: resolvers know no port but 53.
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        server.Bind(new IPEndPoint(IPAddress.Parse("127.0.53.53"), 53));
        var directory = Directory.CreateTempSubdirectory("alicia-resolver-");
        try
        {
            var file = Path.Combine(directory.FullName, "resolv.conf");
            await File.WriteAllTextAsync(file, "nameserver 127.0.53.53\n");
            await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
            {
                Wrapper = ["unshare", "--mount", "sh", "-c", "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"", file],
            });
            await proxy.Registry.RegisterAsync("tts", "silent.test", 8003);
            (await proxy.Registry.PatchServiceAsync("tts", new { timeouts = new { connect = 0.3 } })).EnsureSuccessStatusCode();

            using var answer = await proxy.Http.GetAsync("/tts/");

            answer.StatusCode.Should().Be(HttpStatusCode.GatewayTimeout);
            answer.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=dns_timeout");
            answer.Content.Headers.ContentType!.MediaType.Should().Be("application/problem+json");
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
