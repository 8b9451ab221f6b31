using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

public sealed class AffinityTests
{
    private static readonly AffinityKey Key = new("a secret of the test");

    private readonly PoolMember[] _members = [.. Enumerable.Range(1, 3).Select(i => Member(i, cap: 2, id: "10.1.2.3:800" + i))];

    [Fact]
    public void A_caller_without_a_cookie_gets_one_that_leads_back_and_says_nothing_of_the_instance()
    {
        var affinity = Of();
        affinity.Find(Request()).Should().BeNull();

        var cookie = Kept(affinity, Request(), _members[1]);

        cookie.Should().MatchRegex("^sticky=[0-9a-f]{32}; Path=/; HttpOnly; SameSite=Lax$");
        cookie.Should().NotContain("10.1").And.NotContain("8002");
        affinity.Find(Request(cookie)).Should().BeSameAs(_members[1]);
    }

    [Fact]
    public void A_caller_whose_cookie_is_right_gets_no_other()
    {
        var affinity = Of();
        var cookie = Kept(affinity, Request(), _members[1]);
        Kept(affinity, Request(cookie), _members[1]).Should().BeNull();
        Kept(affinity, Request(cookie), _members[0]).Should().NotBeNull("it met another instance").And.NotBe(cookie);
    }

    [Fact]
    public void A_cookie_is_good_for_one_service_one_instance_and_one_key()
    {
        var token = Key.TokenOf("tts", "a");
        Key.TokenOf("tts", "a").Should().Be(token);
        new AffinityKey("a secret of the test").TokenOf("tts", "a").Should().Be(token, "a restart with the same key keeps callers where they are");
        new[] { Key.TokenOf("tts", "b"), Key.TokenOf("stt", "a"), new AffinityKey("another one of the test").TokenOf("tts", "a"), new AffinityKey(null).TokenOf("tts", "a") }
            .Should().NotContain(token).And.OnlyHaveUniqueItems();
    }

    [Theory]
    [InlineData("sticky=0123456789abcdef0123456789abcdef")]
    [InlineData("sticky=10.1.2.3:8001")]
    [InlineData("sticky=")]
    [InlineData("sticky=\"")]
    [InlineData("sticky")]
    public void A_made_up_cookie_leads_nowhere(string cookie) => Of().Find(Request(cookie)).Should().BeNull();

    [Fact]
    public void Of_several_cookies_of_the_name_the_one_that_means_something_counts()
    {
        var affinity = Of();
        var own = Kept(affinity, Request(), _members[2])!.Split(';')[0];
        affinity.Find(Request("sticky=nothing; " + own)).Should().BeSameAs(_members[2], "services of several paths may share a name");
    }

    [Fact]
    public void An_instance_that_is_not_usable_is_not_asked_for()
    {
        var affinity = Of();
        var cookie = Kept(affinity, Request(), _members[0]);
        _members[0].Gate.OpenByHand();
        affinity.Find(Request(cookie)).Should().BeNull();
        _members[0].Gate.CloseByHand();
        affinity.Find(Request(cookie)).Should().BeSameAs(_members[0]);
    }

    [Fact]
    public void Admission_follows_the_cookie_and_picks_another_when_its_instance_is_full_or_gone()
    {
        var state = State(_members);
        var request = Request(Kept(state.Affinity!, Request(), _members[1]));
        for (var i = 0; i < 2; i++)
        {
            InstanceAdmission.TryAdmit(state, request, out var member, out _).Should().Be(AdmissionResult.Admitted);
            member.Should().BeSameAs(_members[1]);
        }

        InstanceAdmission.Preview(state, request, out var previewed).Should().Be(AdmissionResult.Admitted);
        previewed.Should().NotBeSameAs(_members[1], "it has no room");
        InstanceAdmission.TryAdmit(state, request, out var other, out _).Should().Be(AdmissionResult.Admitted);
        other.Should().NotBeSameAs(_members[1]);

        InstanceAdmission.TryAdmit(State(_members[0], _members[2]), request, out var left, out _).Should().Be(AdmissionResult.Admitted);
        left.Should().NotBeSameAs(_members[1], "it has left");
    }

    [Fact]
    public void Attributes_follow_the_settings_and_the_request()
    {
        Kept(Of(SettingOverrides.Empty.With(SettingKeys.AffinityLifetime, TimeSpan.FromHours(2))), Request(), _members[0]).Should().EndWith("; SameSite=Lax; Max-Age=7200");
        Kept(Of(SettingOverrides.Empty.With(SettingKeys.AffinitySameSite, "strict")), Request(), _members[0]).Should().EndWith("; SameSite=Strict");
        Kept(Of(SettingOverrides.Empty.With(SettingKeys.AffinitySecure, "always").With(SettingKeys.AffinitySameSite, "none")), Request(), _members[0])
            .Should().EndWith("; SameSite=None; Secure");
        var tls = Request();
        tls.Request.Scheme = "https";
        Kept(Of(), tls, _members[0]).Should().EndWith("; Secure");
        Kept(Of(SettingOverrides.Empty.With(SettingKeys.AffinitySecure, "never")), tls, _members[0]).Should().NotContain("Secure");
    }

    [Fact]
    public void A_service_that_is_named_by_the_path_has_its_cookie_under_that_path()
    {
        var context = Request();
        Of().Keep(context, _members[0], "/tts");
        context.Response.Headers.SetCookie.ToString().Should().Contain("; Path=/tts; ");
        var odd = Request();
        Of().Keep(odd, _members[0], "/t;s");
        odd.Response.Headers.SetCookie.ToString().Should().Contain("; Path=/; ", "a semicolon would end the attribute");
    }

    [Fact]
    public void Without_a_cookie_name_there_is_no_affinity() => Affinity.Of("tts", _members, ServiceSettings.BuiltIn, Key).Should().BeNull();

    private Affinity Of(SettingOverrides? settings = null) =>
        Affinity.Of("tts", _members, ServiceSettings.Resolve((settings ?? SettingOverrides.Empty).With(SettingKeys.AffinityCookie, "sticky")), Key)!;

    private static UpstreamState State(params PoolMember[] members)
    {
        var settings = ServiceSettings.Resolve(SettingOverrides.Empty.With(SettingKeys.AffinityCookie, "sticky"));
        return new UpstreamState(new Pool(members), new RoundRobin(), settings) { Affinity = Affinity.Of("tts", members, settings, Key) };
    }

    private static string? Kept(Affinity affinity, DefaultHttpContext request, PoolMember member)
    {
        var before = request.Response.Headers.SetCookie.Count;
        affinity.Keep(request, member, "");
        var cookies = request.Response.Headers.SetCookie;
        return cookies.Count == before ? null : cookies[^1];
    }

    /// <param name="cookie">A cookie as the caller sends it, or as it was set.</param>
    private static DefaultHttpContext Request(string? cookie = null)
    {
        var context = new DefaultHttpContext();
        if (cookie is not null)
            context.Request.Headers.Cookie = cookie.Contains("Path=", StringComparison.Ordinal) ? cookie.Split(';')[0] : cookie;
        return context;
    }
}
