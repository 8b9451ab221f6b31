using Alicia.Proxy.Admission;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http;

namespace Alicia.Proxy.UnitTests.Forwarding;

public sealed class RetryRuleTests
{
    private static readonly ServiceSettings _off = ServiceSettings.Resolve(SettingOverrides.Empty.With(SettingKeys.RetryAttempts, 0));

    // failure, unsent, idempotent, whole body, trial, retries on → reason, charged, may return
    [Theory]
    [InlineData(nameof(AttemptFailure.Connect), true, true, true, false, true, nameof(RetryReason.Unsent), false, false)]
    [InlineData(nameof(AttemptFailure.Connect), true, false, true, false, true, nameof(RetryReason.Unsent), false, false)]
    [InlineData(nameof(AttemptFailure.Connect), true, false, true, false, false, nameof(RetryReason.Unsent), false, false)]
    [InlineData(nameof(AttemptFailure.Connect), true, false, true, true, true, nameof(RetryReason.Unsent), false, false)]
    [InlineData(nameof(AttemptFailure.Reset), true, false, true, false, true, nameof(RetryReason.Unsent), false, false)]
    [InlineData(nameof(AttemptFailure.Reset), true, false, false, false, true, null, false, false)]
    [InlineData(nameof(AttemptFailure.Reset), false, true, true, false, true, nameof(RetryReason.Reset), true, true)]
    [InlineData(nameof(AttemptFailure.Reset), false, false, true, false, true, null, false, false)]
    [InlineData(nameof(AttemptFailure.Reset), false, true, false, false, true, null, false, false)]
    [InlineData(nameof(AttemptFailure.Reset), false, true, true, false, false, null, false, false)]
    [InlineData(nameof(AttemptFailure.Reset), false, true, true, true, true, nameof(RetryReason.Trial), false, false)]
    [InlineData(nameof(AttemptFailure.Reset), false, false, true, true, true, null, false, false)]
    [InlineData(nameof(AttemptFailure.Reset), false, true, true, true, false, null, false, false)]
    [InlineData(nameof(AttemptFailure.Timeout), false, true, true, false, true, nameof(RetryReason.Timeout), true, false)]
    [InlineData(nameof(AttemptFailure.Timeout), false, false, true, false, true, null, false, false)]
    [InlineData(nameof(AttemptFailure.Protocol), false, true, true, false, true, null, false, false)]
    [InlineData(nameof(AttemptFailure.Protocol), false, true, true, true, true, nameof(RetryReason.Trial), false, false)]
    public void After_a_failure_without_a_head(string failure, bool unsent, bool idempotent, bool wholeBody, bool trial, bool on, string? reason, bool charged, bool mayReturn)
    {
        var next = RetryRule.AfterFailure(Enum.Parse<AttemptFailure>(failure), unsent, new AttemptedRequest(idempotent, wholeBody, trial), on ? ServiceSettings.BuiltIn : _off);

        next.Should().Be(reason is null ? null : new NextTry(Enum.Parse<RetryReason>(reason), charged, mayReturn));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void A_kept_connection_that_had_ended_says_nothing_of_the_instance(bool idempotent, bool on)
    {
        var next = RetryRule.AfterFailure(AttemptFailure.Reset, unsent: true, new AttemptedRequest(idempotent, HasWholeBody: true, IsTrial: false), on ? ServiceSettings.BuiltIn : _off, stale: true);

        next.Should().Be(new NextTry(RetryReason.Unsent, IsCharged: false, MayReturn: true));
    }

    [Theory]
    [InlineData(200, false, true, true, false, true, null, false)]
    [InlineData(500, false, true, true, false, true, null, false)]
    [InlineData(502, false, true, true, false, true, nameof(RetryReason.Status), true)]
    [InlineData(503, false, true, true, false, true, nameof(RetryReason.Status), true)]
    [InlineData(503, false, false, true, false, true, null, false)]
    [InlineData(503, false, true, false, false, true, null, false)]
    [InlineData(503, false, true, true, false, false, null, false)]
    [InlineData(200, true, true, true, false, true, nameof(RetryReason.Status), true)]
    [InlineData(200, true, false, true, false, true, null, false)]
    [InlineData(500, false, true, true, true, true, nameof(RetryReason.Trial), false)]
    [InlineData(500, false, false, true, true, true, null, false)]
    [InlineData(404, false, true, true, true, true, null, false)]
    public void At_a_head_that_the_caller_has_not_seen(int status, bool unavailable, bool idempotent, bool wholeBody, bool trial, bool on, string? reason, bool charged)
    {
        var next = RetryRule.AfterHead(status, unavailable, new AttemptedRequest(idempotent, wholeBody, trial), on ? ServiceSettings.BuiltIn : _off);

        next.Should().Be(reason is null ? null : new NextTry(Enum.Parse<RetryReason>(reason), charged));
    }

    [Theory]
    [InlineData("GET", false, true)]
    [InlineData("HEAD", false, true)]
    [InlineData("PUT", false, true)]
    [InlineData("DELETE", false, true)]
    [InlineData("OPTIONS", false, true)]
    [InlineData("TRACE", false, true)]
    [InlineData("POST", false, false)]
    [InlineData("PATCH", false, false)]
    [InlineData("CONNECT", false, false)]
    [InlineData("LOCK", false, false)]
    [InlineData("get", false, true)]
    [InlineData("POST", true, true)]
    [InlineData("PATCH", true, true)]
    public void A_request_may_arrive_twice_by_its_method_or_by_its_key(string method, bool key, bool may)
    {
        var request = new DefaultHttpContext().Request;
        request.Method = method;
        if (key)
            request.Headers["Idempotency-Key"] = "1";

        Repeatable.IsIdempotent(request).Should().Be(may);
    }

    [Fact]
    public void Nothing_was_sent_when_anything_in_the_chain_says_so()
    {
        var refused = new HttpRequestException("x", new UpstreamConnectException(ConnectFailure.Refused, "y"));
        new AttemptResult(null) { Exception = refused }.IsUnsent.Should().BeTrue();
        new AttemptResult(null) { Exception = new InvalidOperationException("x", new ConnectionGoneException()) }.IsUnsent.Should().BeTrue();
        new AttemptResult(null) { Exception = new HttpRequestException("x", new HttpProtocolException(7, "refused", null)) }.IsUnsent.Should().BeTrue();
        new AttemptResult(null) { Exception = new HttpRequestException("x", new HttpProtocolException(8, "cancel", null)) }.IsUnsent.Should().BeFalse();
        new AttemptResult(null) { Exception = new HttpRequestException("x", new IOException("reset")) }.IsUnsent.Should().BeFalse();
        new AttemptResult(null).IsUnsent.Should().BeFalse();
    }
}
