using System.Collections.Frozen;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Balancing;

/// <summary>What cookies of session affinity are made with: 16 bytes or more that nobody else knows.</summary>
internal sealed class AffinityKey
{
    private readonly byte[] _key;

    /// <param name="secret">The configured secret; null for one that lasts as long as the process.</param>
    public AffinityKey(string? secret) => _key = secret is null ? RandomNumberGenerator.GetBytes(32) : Encoding.UTF8.GetBytes(secret);

    /// <summary>The cookie value that stands for an instance: the same as long as the key is, and nothing that could be read or made without it.</summary>
    public string TokenOf(string service, string instanceId)
    {
        // 128 bits of it are beyond guessing; a cookie travels with every request.
        Span<byte> mac = stackalloc byte[32];
        HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes($"{service}\n{instanceId}"), mac);
        return Convert.ToHexStringLower(mac[..16]);
    }
}

/// <summary>
/// Keeps a caller with the instance that served it first, by a cookie. Stands beside the algorithm, which picks for callers without a cookie and for those whose instance is gone,
/// draining, not usable or full; they get a new cookie. A cookie only ever chooses among instances that may be picked anyway.
/// </summary>
/// <remarks>
/// Use when sessions live in the memory of one instance. Avoid when they do not: callers that stay where they are keep load from evening out. Unlike HAProxy, which lets known
/// callers through to a draining server, a drained instance takes no new request here, whoever asks: that is what draining promises everywhere else.
/// </remarks>
internal sealed class Affinity
{
    /// <summary>Cookies of one name that a request may bring; more are not looked at.</summary>
    private const int MostCookies = 4;

    private readonly string _cookie;
    private readonly string _attributes;
    private readonly bool _alwaysSecure;
    private readonly bool _secureOverTls;
    private readonly FrozenDictionary<string, PoolMember>.AlternateLookup<ReadOnlySpan<char>> _members;
    private readonly Dictionary<long, string> _tokens;

    private Affinity(string cookie, string service, IReadOnlyCollection<PoolMember> rotation, ServiceSettings settings, AffinityKey key)
    {
        _cookie = cookie;
        var lifetime = settings.Get(SettingKeys.AffinityLifetime) is { } time ? string.Create(CultureInfo.InvariantCulture, $"; Max-Age={(long)time.TotalSeconds}") : "";
        var sameSite = settings.Get(SettingKeys.AffinitySameSite) switch { "strict" => "Strict", "none" => "None", _ => "Lax" };
        _attributes = $"; HttpOnly; SameSite={sameSite}{lifetime}";
        _alwaysSecure = settings.Get(SettingKeys.AffinitySecure) == "always";
        _secureOverTls = settings.Get(SettingKeys.AffinitySecure) == "auto";
        _tokens = rotation.ToDictionary(m => m.Live.Epoch, m => key.TokenOf(service, m.Endpoint.InstanceId));
        // Two epochs of one id are in rotation together for a moment, when an instance moves; the newer one has the id.
        _members = rotation.OrderBy(m => m.Live.Epoch).GroupBy(m => _tokens[m.Live.Epoch]).ToFrozenDictionary(g => g.Key, g => g.Last(), StringComparer.Ordinal)
            .GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>The affinity that the settings ask for, or null for none.</summary>
    public static Affinity? Of(string service, IReadOnlyCollection<PoolMember> rotation, ServiceSettings settings, AffinityKey key) =>
        settings.Get(SettingKeys.AffinityCookie) is { } cookie ? new Affinity(cookie, service, rotation, settings, key) : null;

    /// <summary>The usable instance that the request's cookie names, or null.</summary>
    public PoolMember? Find(HttpContext request)
    {
        for (var i = 0; i < MostCookies && CookieFields.TryFind(request.Request, _cookie, i, out var value, out _); i++)
        {
            if (_members.TryGetValue(value, out var member))
                return member.Gate.Standing == GateStanding.Usable ? member : null;
        }

        return null;
    }

    /// <summary>Tells the caller which instance it met, where its cookie does not say so already. Called when the answer's fields are there and not sent yet.</summary>
    /// <param name="context">The exchange.</param>
    /// <param name="member">The instance that answered.</param>
    /// <param name="prefix">Beginning of the path that names the service, or empty: services under one host must not take each other's cookies.</param>
    public void Keep(HttpContext context, PoolMember member, string prefix)
    {
        if (!_tokens.TryGetValue(member.Live.Epoch, out var token))
            return;
        for (var i = 0; i < MostCookies && CookieFields.TryFind(context.Request, _cookie, i, out var value, out _); i++)
        {
            if (value.SequenceEqual(token))
                return;
        }

        var path = prefix.Length == 0 || prefix.AsSpan().ContainsAny(';', ',') ? "/" : prefix;
        var secure = _alwaysSecure || (_secureOverTls && context.Request.IsHttps) ? "; Secure" : "";
        context.Response.Headers.Append("Set-Cookie", $"{_cookie}={token}; Path={path}{_attributes}{secure}");
    }
}
