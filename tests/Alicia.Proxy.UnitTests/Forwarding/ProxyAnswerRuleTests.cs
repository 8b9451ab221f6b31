using System.Text.Json;
using Alicia.Proxy.Forwarding;
using Microsoft.AspNetCore.Http;

namespace Alicia.Proxy.UnitTests.Forwarding;

/// <summary>The document of a proxy-made answer, for a row that only a bug can bring about.</summary>
public sealed class ProxyAnswerRuleTests
{
    [Fact]
    public async Task A_fault_of_the_proxy_itself_is_a_document_like_any_other()
    {
        var context = new DefaultHttpContext { Response = { Body = new MemoryStream() } };
        context.Response.Headers["X-Left"] = "over";

        await ProxyAnswer.WriteAsync(context, ProxyError.Internal, "The \"proxy\" failed; it's logged.");

        context.Response.StatusCode.Should().Be(500);
        context.Response.Headers.Should().NotContainKey("X-Left");
        context.Response.Headers["Proxy-Status"].ToString().Should().Be("alicia; error=proxy_internal_error");
        context.Response.ContentType.Should().Be("application/problem+json");
        var body = ((MemoryStream)context.Response.Body).ToArray();
        context.Response.ContentLength.Should().Be(body.Length);
        var problem = JsonDocument.Parse(body).RootElement;
        problem.GetProperty("error").GetString().Should().Be("proxy_internal_error");
        problem.GetProperty("detail").GetString().Should().Be("The \"proxy\" failed; it's logged.");
    }
}
