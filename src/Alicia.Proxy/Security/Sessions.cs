using System.Buffers.Text;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Security;

/// <summary>
/// Who is signed in to the status page. A session stands for a key without being it: the browser holds a random token that scripts cannot read, the proxy the
/// token's hash, and what it opens is looked up at the key each time, so that a session never opens more, or for longer, than its key. Kept in memory: a
/// restart signs everybody out.
/// </summary>
internal sealed class Sessions(TimeProvider time)
{
    /// <summary>Name of the cookie that carries the token.</summary>
    public const string Cookie = "alicia_session";

    /// <summary>Sessions at once; one more ends the oldest.</summary>
    public const int Limit = 1000;

    /// <summary>From signing in to the end, whatever is done in between: a working day.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(12);

    private const int TokenBytes = 32;

    /// <summary>Of a token in base64url; anything else is no token and is not hashed.</summary>
    private static readonly int TokenLength = Base64Url.GetEncodedLength(TokenBytes);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<Session>> _byToken = new(StringComparer.Ordinal);

    /// <summary>In the order of signing in, which all living equally long is also that of ending.</summary>
    private readonly LinkedList<Session> _oldestFirst = [];

    /// <summary>Sessions that have not been seen to end.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _byToken.Count;
        }
    }

    /// <summary>Begins a session of a key.</summary>
    /// <returns>The token, for the cookie and nobody else.</returns>
    public string Begin(ApiKey key)
    {
        var token = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(TokenBytes));
        var now = time.GetUtcNow();
        lock (_lock)
        {
            while (_oldestFirst.First is { } oldest && (oldest.Value.Ends <= now || _byToken.Count >= Limit))
                End_NeedsLock(oldest);
            var session = new Session(Hash(token), key.KeySha256, now + Lifetime);
            _byToken.Add(session.TokenHash, _oldestFirst.AddLast(session));
        }

        return token;
    }

    /// <summary>The key behind a token, as configuration has it now.</summary>
    /// <returns>Null when there is no such session, its time is over, or its key has gone; the session has ended then.</returns>
    public ApiKey? Find(string token, IReadOnlyList<ApiKey> keys)
    {
        if (token.Length != TokenLength)
            return null;
        var hash = Hash(token);
        lock (_lock)
        {
            if (!_byToken.TryGetValue(hash, out var node))
                return null;
            var key = node.Value.Ends <= time.GetUtcNow() ? null : keys.LastOrDefault(k => k.KeySha256.AsSpan().SequenceEqual(node.Value.KeySha256.AsSpan()));
            if (key is null)
                End_NeedsLock(node);
            return key;
        }
    }

    /// <summary>Ends a session; nothing happens when there is none.</summary>
    public void End(string token)
    {
        if (token.Length != TokenLength)
            return;
        var hash = Hash(token);
        lock (_lock)
        {
            if (_byToken.TryGetValue(hash, out var node))
                End_NeedsLock(node);
        }
    }

    private static string Hash(string token) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    private void End_NeedsLock(LinkedListNode<Session> node)
    {
        _byToken.Remove(node.Value.TokenHash);
        _oldestFirst.Remove(node);
    }

    private sealed record Session(string TokenHash, ImmutableArray<byte> KeySha256, DateTimeOffset Ends);
}
