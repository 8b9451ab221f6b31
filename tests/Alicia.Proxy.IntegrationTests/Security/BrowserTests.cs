using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Security;

/// <summary>What a web page elsewhere can make a browser do to management: nothing, with keys and without.</summary>
public sealed class BrowserTests
{
    [Fact]
    public async Task A_host_name_that_was_bound_to_this_machine_is_not_answered()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory"] });
        var port = proxy.ManagementAddress.Port;

        foreach (var name in new[] { "evil.example", $"evil.example:{port}", $"localhost.evil.example:{port}", $"127.0.0.1.evil.example:{port}", $"10.0.0.1:{port}", "" })
        {
            var read = await RawHttp.SendAsync(proxy.ManagementAddress, $"GET /services HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
            read.Status.Should().BeOneOf(400, 403);
            var change = await RawHttp.SendAsync(proxy.ManagementAddress,
                $"PUT /services/x HTTP/1.1\r\nHost: {name}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
            change.Status.Should().BeOneOf(400, 403);
            // The name that the browser was told and the page's origin agree then.
            (await RawHttp.SendAsync(proxy.ManagementAddress, $"GET /services HTTP/1.1\r\nHost: {name}\r\nOrigin: http://{name}\r\nConnection: close\r\n\r\n")).Status.Should().BeOneOf(400, 403);
        }

        (await proxy.Api.GetAsync("/services/x").StatusAsync()).Should().Be(404);
    }

    [Fact]
    public async Task A_page_of_another_origin_gets_nothing_and_no_leave_to_try()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory"] });
        foreach (var origin in new[] { "https://evil.example", "null", $"http://127.0.0.1:{proxy.Address.Port}", $"http://localhost:{proxy.ManagementAddress.Port}" })
        {
            foreach (var (method, path) in new[] { ("GET", "/services"), ("PUT", "/services/x"), ("DELETE", "/services/x"), ("POST", "/services/x/register"), ("GET", "/events"), ("POST", "/session") })
            {
                using var answer = await proxy.Api.SendJsonAsync(method, path, method is "PUT" or "POST" ? "{}" : null, ("Origin", origin));
                ((int)answer.StatusCode).Should().Be(403, "{0} {1} from {2}", method, path, origin);
                answer.Headers.Where(h => h.Key.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase)).Should().BeEmpty();
            }

            using var asked = await proxy.Api.SendJsonAsync("OPTIONS", "/services/x", null, ("Origin", origin), ("Access-Control-Request-Method", "PUT"));
            ((int)asked.StatusCode).Should().BeGreaterThanOrEqualTo(400);
            asked.Headers.Where(h => h.Key.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase)).Should().BeEmpty();
        }
    }

    [Fact]
    public async Task What_a_form_can_send_is_no_change()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory"] });
        foreach (var type in new[] { "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x" })
        {
            using var content = new StringContent("""{"host":"127.0.0.1","port":9}""");
            content.Headers.Remove("Content-Type");
            content.Headers.TryAddWithoutValidation("Content-Type", type);
            using var answer = await proxy.Api.PostAsync("/services/x/register", content);
            ((int)answer.StatusCode).Should().Be(415);
        }

        (await proxy.Api.GetAsync("/services/x").StatusAsync()).Should().Be(404);
    }
}
