using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Metrics;

/// <summary>With <c>Otlp:Endpoint</c>, the metrics are pushed as well; the page stays.</summary>
public sealed class OtlpMetricsTests
{
    [Fact]
    public async Task Metrics_are_pushed_where_configuration_says_and_from_a_reload_on()
    {
        await using var receiver = await Receiver.StartAsync();
        await using var backend = await Backend.StartAsync("a");
        string Configuration(string otlp) => $$"""{ "Registry": { "Store": "memory" }{{otlp}} }""";
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            ConfigJson = Configuration(""),
            Environment = new Dictionary<string, string?> { ["OTEL_METRIC_EXPORT_INTERVAL"] = "200" },
        });
        await proxy.Registry.RegisterActiveAsync("tts", backend);
        (await proxy.Http.GetAsync("/tts/status/204")).Dispose();

        await proxy.WriteConfigAsync(Configuration($", \"Otlp\": {{ \"Endpoint\": \"{receiver.Address}\" }}"));

        // Protobuf carries names as plain text.
        await Eventually.Until("the metrics arrive", () => receiver.Got.Any(g => g.Path == "/v1/metrics" && g.Body.Contains("alicia_requests", StringComparison.Ordinal)
            && g.Body.Contains("load_balancer", StringComparison.Ordinal)
            && g.Body.Contains("instance_id", StringComparison.Ordinal)));
        (await MetricsPage.ReadAsync(proxy.Api)).Requests("tts").Should().Equal(new Dictionary<string, double> { ["a 2xx success"] = 1 });
        proxy.Process.HasExited.Should().BeFalse();
    }

    /// <summary>Takes whatever is posted.</summary>
    private sealed class Receiver : IAsyncDisposable
    {
        private readonly HttpListener _listener = new();
        private readonly Task _loop;

        private Receiver(int port)
        {
            Address = new Uri($"http://127.0.0.1:{port}");
            _listener.Prefixes.Add(Address.ToString());
            _listener.Start();
            _loop = Task.Run(TakeAsync);
        }

        public Uri Address { get; }

        public ConcurrentQueue<(string Path, string Body)> Got { get; } = new();

        public static Task<Receiver> StartAsync()
        {
            for (var attempt = 0; ; attempt++)
            {
                using var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
                probe.Start();
                var port = ((IPEndPoint)probe.LocalEndpoint).Port;
                probe.Stop();
                try
                {
                    return Task.FromResult(new Receiver(port));
                }
                catch (HttpListenerException) when (attempt < 5)
                {
                    // Somebody took the port between our looking and our binding.
                }
            }
        }

        public async ValueTask DisposeAsync()
        {
            _listener.Close();
            await _loop;
        }

        private async Task TakeAsync()
        {
            try
            {
                while (true)
                {
                    var context = await _listener.GetContextAsync();
                    using var body = new MemoryStream();
                    await context.Request.InputStream.CopyToAsync(body);
                    Got.Enqueue((context.Request.Url!.AbsolutePath, Encoding.Latin1.GetString(body.ToArray())));
                    context.Response.Close();
                }
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                // Closed.
            }
        }
    }
}
