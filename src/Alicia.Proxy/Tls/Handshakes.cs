using System.Net.Security;
using System.Security.Authentication;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Alicia.Proxy.Tls;

/// <summary>Why a caller's handshake came to nothing.</summary>
internal enum HandshakeFailure
{
    /// <summary>It left, or sent something that is no TLS, before it had said hello: clear text, a look whether the port is open.</summary>
    NoHello,

    /// <summary>It asked for a name that no certificate is for, and strangers are refused.</summary>
    UnknownName,

    /// <summary>It took longer than <c>Tls:HandshakeTimeout</c>.</summary>
    Timeout,

    /// <summary>No version, cipher or protocol in common, a certificate that one side did not like, or it left half-way.</summary>
    Protocol,
}

/// <summary>
/// TLS on a listener: HTTP/2 or HTTP/1.1 by ALPN, the certificate by the name in the hello, each handshake by what is in force at that moment. Counts what comes of them.
/// </summary>
internal sealed class Handshakes(CertificateStore certificates, TimeProvider time)
{
    private static readonly List<SslApplicationProtocol> BothVersions = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];

    /// <summary>By how much a timer may be early as this clock sees it.</summary>
    private static readonly TimeSpan TimerSlack = TimeSpan.FromMilliseconds(20);

    private readonly long[] _failed = new long[Enum.GetValues<HandshakeFailure>().Length];
    private long _done;

    /// <summary>Handshakes that succeeded, since start.</summary>
    public long Done => Volatile.Read(ref _done);

    /// <summary>Handshakes that failed so, since start.</summary>
    public long Failed(HandshakeFailure reason) => Volatile.Read(ref _failed[(int)reason]);

    /// <summary>Adds TLS to the connections of a listener.</summary>
    /// <param name="options">The listener.</param>
    /// <param name="timeout">For one handshake.</param>
    /// <param name="asksForCertificate">Whether callers are asked for a certificate of theirs; any is taken, and judging it is left to whoever reads it.</param>
    public void Use(ListenOptions options, TimeSpan timeout, Func<bool> asksForCertificate)
    {
        options.Use(next => async connection =>
        {
            var handshake = new Handshake();
            connection.Features.Set(handshake);
            var startedAt = time.GetTimestamp();
            await next(connection);
            if (!handshake.Done)
                Interlocked.Increment(ref _failed[(int)(handshake.Failure ?? (time.GetElapsedTime(startedAt) >= timeout - TimerSlack ? HandshakeFailure.Timeout : handshake.Unfinished))]);
        });
        options.UseHttps(new TlsHandshakeCallbackOptions
        {
            HandshakeTimeout = timeout,
            OnConnection = context => ValueTask.FromResult(Answer(context, asksForCertificate())),
        });
        options.Use(next => connection =>
        {
            connection.Features.Get<Handshake>()!.Done = true;
            Interlocked.Increment(ref _done);
            return next(connection);
        });
    }

    private SslServerAuthenticationOptions Answer(TlsHandshakeCallbackContext context, bool asksForCertificate)
    {
        var handshake = context.Connection.Features.Get<Handshake>()!;
        handshake.Unfinished = HandshakeFailure.Protocol;
        if (certificates.Servers.Find(context.ClientHelloInfo.ServerName) is not { } certificate)
        {
            handshake.Failure = HandshakeFailure.UnknownName;
            throw new AuthenticationException("No certificate is for the name that the caller asks for.");
        }

        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = certificate.Context,
            ApplicationProtocols = BothVersions,
            EnabledSslProtocols = certificates.Only13 ? SslProtocols.Tls13 : SslProtocols.Tls12 | SslProtocols.Tls13,
            AllowRenegotiation = false,
        };
        if (asksForCertificate)
        {
            options.ClientCertificateRequired = true;
            options.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
            // A resumed session would bring the certificate of an earlier handshake without proof of its key.
            options.AllowTlsResume = false;
        }

        return options;
    }

    /// <summary>Connection feature: how far the handshake has come.</summary>
    private sealed class Handshake
    {
        public bool Done { get; set; }

        public HandshakeFailure? Failure { get; set; }

        /// <summary>What it counts as when it ends without a reason of its own.</summary>
        public HandshakeFailure Unfinished { get; set; } = HandshakeFailure.NoHello;
    }
}
