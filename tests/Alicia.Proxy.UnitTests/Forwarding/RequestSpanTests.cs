using System.Diagnostics;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Live;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.UnitTests.Forwarding;

public sealed class RequestSpanTests
{
    private readonly DefaultHttpContext _context = new();

    public RequestSpanTests()
    {
        _context.Request.Method = "GET";
        _context.Request.Protocol = "HTTP/1.1";
        _context.Request.Scheme = "http";
        _context.Features.Get<IHttpRequestFeature>()!.RawTarget = "http://user:pw@front/x?sig=1&a=2";
    }

    [Fact]
    public void While_nobody_listens_no_span_is_made()
    {
        RequestSpans.StartRequest(_context).Should().BeNull();
        Activity.Current.Should().BeNull();
    }

    [Fact]
    public void A_span_has_the_target_without_its_secrets()
    {
        using var listener = Listen();

        using var span = RequestSpans.StartRequest(_context);

        span!.GetTagItem("url.path").Should().Be("/x");
        span.GetTagItem("url.query").Should().Be("sig=***&a=2");
        span.TagObjects.Should().NotContain(tag => tag.Value!.ToString()!.Contains("pw"));
    }

    [Theory]
    [InlineData(200, nameof(RequestOutcome.Success), null)]
    [InlineData(404, nameof(RequestOutcome.Rejected), null)]
    [InlineData(null, nameof(RequestOutcome.Aborted), null)]
    [InlineData(500, nameof(RequestOutcome.Success), "500")]
    [InlineData(503, nameof(RequestOutcome.Failure), "503")]
    [InlineData(200, nameof(RequestOutcome.Failure), "connection_terminated")]
    public void The_proxys_span_is_an_error_when_the_answer_failed_and_not_when_the_caller_did(int? status, string outcome, string? type)
    {
        using var listener = Listen();
        var span = RequestSpans.StartRequest(_context)!;

        RequestSpans.EndRequest(span, new RequestRecord(default, 0, span), _context, status, Enum.Parse<RequestOutcome>(outcome));

        span.GetTagItem("http.response.status_code").Should().Be(status);
        span.GetTagItem("error.type").Should().Be(type);
        span.Status.Should().Be(type is null ? ActivityStatusCode.Unset : ActivityStatusCode.Error);
        Activity.Current.Should().BeNull();
    }

    private static ActivityListener Listen()
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == RequestSpans.SourceName,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }
}
