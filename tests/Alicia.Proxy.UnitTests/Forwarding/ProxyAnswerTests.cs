using System.Text.Json;
using Alicia.Proxy.Forwarding;
using Microsoft.AspNetCore.Http;

namespace Alicia.Proxy.UnitTests.Forwarding;

public sealed class ProxyAnswerTests
{
    private readonly DefaultHttpContext _context = new();
    private readonly MemoryStream _body = new();

    public ProxyAnswerTests() => _context.Response.Body = _body;

    [Fact]
    public async Task An_answer_is_a_problem_document_with_the_proxys_status()
    {
        _context.Response.Headers["X-Left-Over"] = "1";

        await ProxyAnswer.WriteAsync(_context, ProxyError.NoInstance, "Service 'tts' has \"none\".");

        var response = _context.Response;
        (response.StatusCode, response.ContentType, response.Headers["Proxy-Status"].ToString(), response.Headers.RetryAfter.ToString(), response.ContentLength)
            .Should().Be((503, "application/problem+json", "alicia; error=destination_unavailable", "1", _body.Length));
        response.Headers.Should().NotContainKey("X-Left-Over");
        var document = JsonDocument.Parse(_body.ToArray()).RootElement;
        document.GetProperty("status").GetInt32().Should().Be(503);
        document.GetProperty("title").GetString().Should().Be("No instance available");
        document.GetProperty("detail").GetString().Should().Be("Service 'tts' has \"none\".");
    }

    [Fact]
    public async Task A_HEAD_gets_the_head_of_the_same_answer()
    {
        _context.Request.Method = "HEAD";
        await ProxyAnswer.WriteAsync(_context, ProxyError.UnknownService, "x");
        (_context.Response.StatusCode, _body.Length).Should().Be((404, 0));
        _context.Response.ContentLength.Should().BePositive();
        _context.Response.Headers.Should().NotContainKey("Retry-After");
    }

    [Theory]
    [InlineData("application/grpc", true)]
    [InlineData("application/grpc+proto", true)]
    [InlineData("Application/GRPC; x=y", true)]
    [InlineData("application/grpc-web", false)]
    [InlineData("application/json", false)]
    [InlineData(null, false)]
    public void A_gRPC_caller_is_known_by_its_content_type(string? type, bool grpc)
    {
        _context.Request.ContentType = type;
        ProxyAnswer.IsGrpc(_context.Request).Should().Be(grpc);
    }

    [Fact]
    public async Task A_gRPC_caller_gets_a_status_in_the_head_and_no_body()
    {
        _context.Request.ContentType = "application/grpc";
        await ProxyAnswer.WriteAsync(_context, ProxyError.AllFull, "Every slot of 'tts' – 100 % – is taken.\n");

        var headers = _context.Response.Headers;
        (_context.Response.StatusCode, _context.Response.ContentType, headers["grpc-status"].ToString(), _body.Length).Should().Be((200, "application/grpc", "8", 0));
        var message = headers["grpc-message"].ToString();
        message.Should().MatchRegex("^[\x20-\x7e]*$");
        Uri.UnescapeDataString(message).Should().Be("Every slot of 'tts' – 100 % – is taken.\n");
        headers["Proxy-Status"].ToString().Should().Be("alicia; error=connection_limit_reached");
    }

    public static TheoryData<string, int, int, bool> Rows => new()
    {
        { "destination_not_found", 404, 12, false },
        { "destination_unavailable", 503, 14, true },
        { "connection_limit_reached", 503, 8, true },
        { "connection_refused", 502, 14, false },
        { "connection_terminated", 502, 14, false },
        { "connection_timeout", 504, 4, false },
        { "http_response_timeout", 504, 4, false },
        { "http_protocol_error", 502, 14, false },
        { "http_upgrade_failed", 502, 14, false },
        { "dns_error", 502, 14, false },
        { "dns_timeout", 504, 4, false },
        { "destination_ip_prohibited", 502, 14, false },
        { "tls_protocol_error", 502, 14, false },
        { "tls_certificate_error", 502, 14, false },
        { "proxy_loop_detected", 508, 14, false },
        { "http_request_denied", 429, 14, true },
        { "proxy_internal_error", 500, 14, false },
    };

    [Theory]
    [MemberData(nameof(Rows))]
    public void Every_error_has_the_status_of_the_contract(string type, int status, int grpc, bool retryAfter)
    {
        var error = All().Single(e => e.Type == type);
        (error.Status, error.GrpcStatus, error.RetryAfterSeconds > 0).Should().Be((status, grpc, retryAfter));
    }

    [Fact]
    public void The_contracts_table_has_a_row_for_every_error() => All().Select(e => e.Type).Should().BeEquivalentTo(Rows.Select(row => (string)row[0]));

    [Theory]
    [InlineData(400)]
    [InlineData(405)]
    [InlineData(413)]
    [InlineData(414)]
    [InlineData(431)]
    public void A_refused_request_is_an_http_request_error_and_14_for_gRPC(int status)
    {
        var error = ProxyError.BadRequest(status);
        (error.Status, error.Type, error.GrpcStatus).Should().Be((status, "http_request_error", 14));
    }

    private static IEnumerable<ProxyError> All() =>
        typeof(ProxyError).GetFields().Where(f => f.IsStatic && f.FieldType == typeof(ProxyError)).Select(f => (ProxyError)f.GetValue(null)!);
}
