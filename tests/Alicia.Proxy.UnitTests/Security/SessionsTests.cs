using System.Security.Cryptography;
using System.Text;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Security;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Security;

/// <summary>How long a session lives, and that it is never more than its key.</summary>
public sealed class SessionsTests
{
    private static readonly ApiKey Reader = Key("reader", "reader-0123456789", ApiScopes.Read);
    private static readonly ApiKey Admin = Key("admin", "admin-0123456789", ApiScopes.Read | ApiScopes.Admin);

    private readonly FakeTimeProvider _time = new();
    private readonly Sessions _sessions;

    public SessionsTests() => _sessions = new Sessions(_time);

    [Fact]
    public void A_token_stands_for_its_key_and_no_other_token_does()
    {
        var (reader, admin) = (_sessions.Begin(Reader), _sessions.Begin(Admin));

        _sessions.Find(reader, [Reader, Admin]).Should().BeSameAs(Reader);
        _sessions.Find(admin, [Reader, Admin]).Should().BeSameAs(Admin);
        reader.Should().HaveLength(43, "256 bits in base64url").And.NotBe(admin);
        foreach (var other in new[] { "", "x", new string('A', 43), reader[..42], reader + "A", new string('x', 100_000) })
            _sessions.Find(other, [Reader, Admin]).Should().BeNull();
    }

    [Fact]
    public void A_session_ends_after_its_lifetime_however_much_it_is_used()
    {
        var token = _sessions.Begin(Reader);

        _time.Advance(Sessions.Lifetime / 2);
        _sessions.Find(token, [Reader]).Should().NotBeNull();
        _time.Advance((Sessions.Lifetime / 2) - TimeSpan.FromSeconds(1));
        _sessions.Find(token, [Reader]).Should().NotBeNull();
        _time.Advance(TimeSpan.FromSeconds(1));
        _sessions.Find(token, [Reader]).Should().BeNull();
        _sessions.Count.Should().Be(0);
    }

    [Fact]
    public void A_session_opens_what_its_key_opens_now()
    {
        var token = _sessions.Begin(Admin);
        var narrowed = Admin with { Name = "renamed", Scopes = ApiScopes.Read };

        _sessions.Find(token, [Reader, narrowed]).Should().BeSameAs(narrowed);
    }

    [Fact]
    public void A_session_ends_with_its_key_and_does_not_come_back_with_it()
    {
        var token = _sessions.Begin(Admin);

        _sessions.Find(token, [Reader]).Should().BeNull();
        _sessions.Find(token, [Reader, Admin]).Should().BeNull();
    }

    [Fact]
    public void Ending_a_session_ends_it_alone()
    {
        var (first, second) = (_sessions.Begin(Reader), _sessions.Begin(Reader));

        _sessions.End(first);
        _sessions.End(first);
        _sessions.End("nothing");

        _sessions.Find(first, [Reader]).Should().BeNull();
        _sessions.Find(second, [Reader]).Should().BeSameAs(Reader);
    }

    [Fact]
    public void One_session_too_many_ends_the_oldest()
    {
        string[] tokens = [.. Enumerable.Range(0, Sessions.Limit + 1).Select(_ => _sessions.Begin(Reader))];

        _sessions.Count.Should().Be(Sessions.Limit);
        _sessions.Find(tokens[0], [Reader]).Should().BeNull();
        _sessions.Find(tokens[1], [Reader]).Should().NotBeNull();
        _sessions.Find(tokens[^1], [Reader]).Should().NotBeNull();
    }

    [Fact]
    public void Sessions_whose_time_is_over_are_forgotten_when_another_begins()
    {
        for (var i = 0; i < 10; i++)
            _sessions.Begin(Reader);
        _time.Advance(Sessions.Lifetime);

        _sessions.Begin(Reader);

        _sessions.Count.Should().Be(1);
    }

    private static ApiKey Key(string name, string key, ApiScopes scopes) => new(name, [.. SHA256.HashData(Encoding.UTF8.GetBytes(key))], scopes, null);
}
