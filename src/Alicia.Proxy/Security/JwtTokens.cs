using System.Collections.Immutable;
using System.Security.Claims;
using Alicia.Proxy.Configuration;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using Microsoft.IdentityModel.Tokens;

namespace Alicia.Proxy.Security;

/// <summary>What came of a token.</summary>
/// <param name="Caller">Whose it is, when it is good.</param>
/// <param name="Unverifiable">True when the issuer's keys could not be had, so that nobody can tell.</param>
internal readonly record struct TokenResult(Caller? Caller, bool Unverifiable);

/// <summary>
/// Checks tokens with ASP.NET Core's bearer handler, and says what they open. Only signatures by asymmetric keys count, so that neither a token without a signature nor one
/// that is signed with a public key as if that were a secret is taken.
/// </summary>
internal sealed partial class JwtTokens(CurrentConfiguration configuration, TimeProvider time, ILogger<JwtTokens> logger)
    : IConfigureNamedOptions<JwtBearerOptions>, IOptionsChangeTokenSource<JwtBearerOptions>
{
    /// <summary>Name of the authentication scheme.</summary>
    public const string Scheme = "jwt";

    /// <summary>Longest token that is looked at.</summary>
    public const int MaxLength = 8 * 1024;

    private static readonly string[] Algorithms =
    [
        SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512,
        SecurityAlgorithms.RsaSsaPssSha256, SecurityAlgorithms.RsaSsaPssSha384, SecurityAlgorithms.RsaSsaPssSha512,
        SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.EcdsaSha384, SecurityAlgorithms.EcdsaSha512,
    ];

    private static readonly TimeSpan LogPause = TimeSpan.FromMinutes(1);

    /// <summary>How often an authority's keys are looked at again at most, when a token names one that is not known.</summary>
    private static readonly TimeSpan KeysPause = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan FailurePause = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private KnownKeys? _known;
    private long _failedAt;
    private long _lookedAt;
    private long _loggedAt;

    string IOptionsChangeTokenSource<JwtBearerOptions>.Name => Scheme;

    /// <summary>True for what may be a token: three parts with dots between them.</summary>
    public static bool LooksLikeOne(string credential) => credential.Length <= MaxLength && credential.AsSpan().Count('.') == 2;

    public IChangeToken GetChangeToken() => configuration.ChangeToken;

    /// <summary>Checks the token that stands in the request's Authorization field.</summary>
    public async Task<TokenResult> CheckAsync(HttpContext context)
    {
        if (configuration.Value.Jwt is not { } jwt)
            return default;
        var result = await context.AuthenticateAsync(Scheme);
        if (result is { Succeeded: true, Principal: { } principal })
            return new TokenResult(CallerOf(jwt, principal, result.Properties?.ExpiresUtc), false);
        return new TokenResult(null, context.Items.ContainsKey(this));
    }

    public void Configure(JwtBearerOptions options) => Configure(Options.DefaultName, options);

    public void Configure(string? name, JwtBearerOptions options)
    {
        if (name != Scheme || configuration.Value.Jwt is not { } jwt)
            return;
        options.MapInboundClaims = false;
        options.SaveToken = false;
        options.IncludeErrorDetails = false;
        options.RequireHttpsMetadata = jwt.Authority is { IsLoopback: false };
        options.Authority = jwt.Authority?.ToString();
        options.BackchannelTimeout = TimeSpan.FromSeconds(10);
        // The library's five minutes would be as long without a key that the issuer signs by already, once somebody's made-up token has had the keys looked at again.
        options.RefreshInterval = KeysPause;
        options.TokenValidationParameters = new TokenValidationParameters
        {
            ValidAlgorithms = Algorithms,
            ValidIssuer = jwt.Issuer,
            ValidAudiences = jwt.Audiences.Split(' '),
            ClockSkew = jwt.ClockSkew,
            NameClaimType = jwt.NameClaim,
            RequireExpirationTime = true,
            RequireSignedTokens = true,
            ValidateIssuerSigningKey = true,
        };
        if (jwt.KeyFile is { } file)
            options.TokenValidationParameters.IssuerSigningKeyResolver = (_, _, kid, _) => KeysOf(file, kid);
        options.Events = new JwtBearerEvents
        {
            OnMessageReceived = received => jwt.Authority is null ? Task.CompletedTask : FetchAsync(received),
            OnAuthenticationFailed = failed =>
            {
                failed.Fail("not valid");
                return Task.CompletedTask;
            },
        };
    }

    /// <summary>
    /// Sees to it that the authority's keys are there before a token is held against them: the handler itself does not tell a token that is wrong from one that it has no keys for. While they cannot be had,
    /// they are asked for at most once a second, whoever sends tokens.
    /// </summary>
    private async Task FetchAsync(MessageReceivedContext received)
    {
        var failedAt = Volatile.Read(ref _failedAt);
        if (failedAt == 0 || time.GetElapsedTime(failedAt) >= FailurePause)
        {
            // A key that the issuer has taken back is good for nothing from then on, not for another hour.
            if (received.Options.ConfigurationManager is BaseConfigurationManager manager)
                manager.UseLastKnownGoodConfiguration = false;
            try
            {
                await received.Options.ConfigurationManager!.GetConfigurationAsync(received.HttpContext.RequestAborted);
                Volatile.Write(ref _failedAt, 0);
                return;
            }
            catch (Exception e) when (e is InvalidOperationException or IOException or HttpRequestException or OperationCanceledException)
            {
                if (!received.HttpContext.RequestAborted.IsCancellationRequested)
                {
                    Volatile.Write(ref _failedAt, time.GetTimestamp());
                    LogOnceInAWhile(e);
                }
            }
        }

        received.HttpContext.Items[this] = true;
        received.Fail("not verifiable");
    }

    private Caller CallerOf(JwtConfiguration jwt, ClaimsPrincipal principal, DateTimeOffset? ends)
    {
        var scopes = ApiScopes.None;
        foreach (var word in Words(principal, jwt.ScopeClaim))
        {
            if (!word.StartsWith(jwt.ScopePrefix, StringComparison.Ordinal))
                continue;
            scopes |= word.AsSpan(jwt.ScopePrefix.Length) switch
            {
                "read" => ApiScopes.Read,
                "register" => ApiScopes.Register,
                "admin" => ApiScopes.Admin,
                _ => ApiScopes.None,
            };
        }

        var services = jwt.ServicesClaim is { } claim ? Words(principal, claim).ToImmutableSortedSet(StringComparer.Ordinal) : null;
        return new Caller(CallerKind.Jwt, principal.FindFirst(jwt.NameClaim)?.Value ?? "?", scopes, services, jwt, ends + jwt.ClockSkew);
    }

    private static IEnumerable<string> Words(ClaimsPrincipal principal, string claim) =>
        principal.FindAll(claim).SelectMany(c => c.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    /// <summary>The file's keys that a token may be signed with; the file is looked at again at most once a second, and a broken one leaves the keys as they were.</summary>
    private IEnumerable<SecurityKey> KeysOf(string file, string? kid)
    {
        lock (_lock)
        {
            if (_known?.File != file || time.GetElapsedTime(_lookedAt) > TimeSpan.FromSeconds(1))
            {
                _lookedAt = time.GetTimestamp();
                var stamp = FileStamp.Of(file);
                if (_known?.File != file || stamp != _known.Stamp)
                    Read_NeedsLock(file, stamp);
            }

            // Keys of a PEM file have no names.
            return [.. _known!.Keys.Where(k => string.IsNullOrEmpty(kid) || string.IsNullOrEmpty(k.KeyId) || k is X509SecurityKey || k.KeyId == kid)];
        }
    }

    private void Read_NeedsLock(string file, FileStamp stamp)
    {
        var (keys, fault) = JwtKeyFile.Read(file);
        if (fault is null)
        {
            if (_known?.File == file)
                LogKeysChanged(logger, file, keys.Count);
            _known = new KnownKeys(file, stamp, keys);
            return;
        }

        LogKeyFile(logger, file, fault);
        _known = new KnownKeys(file, stamp, _known?.File == file ? _known.Keys : []);
    }

    private void LogOnceInAWhile(Exception fault)
    {
        lock (_lock)
        {
            if (_loggedAt != 0 && time.GetElapsedTime(_loggedAt) < LogPause)
                return;
            _loggedAt = time.GetTimestamp();
        }

        LogUnverifiable(logger, fault.Message);
    }

    [LoggerMessage(LogLevel.Information, "The keys of tokens were read again from {File}: {Count}")]
    private static partial void LogKeysChanged(ILogger logger, string file, int count);

    [LoggerMessage(LogLevel.Error, "The keys of tokens were not read, the old ones stay: {File} {Fault}")]
    private static partial void LogKeyFile(ILogger logger, string file, string fault);

    [LoggerMessage(LogLevel.Error, "Tokens cannot be checked, they are answered 503: {Fault}")]
    private static partial void LogUnverifiable(ILogger logger, string fault);

    private sealed record KnownKeys(string File, FileStamp Stamp, IReadOnlyList<SecurityKey> Keys);
}
