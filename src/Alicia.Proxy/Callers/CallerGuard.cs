using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Alicia.Proxy.Callers;

/// <summary>
/// Connection middleware right in front of the server's HTTP, behind TLS: puts <see cref="GuardedInput"/> between transport and server. HTTP/2 has frames in place of lines and goes past it.
/// </summary>
internal sealed class CallerGuard(CallerLimits limits, TimeProvider time)
{
    public ConnectionDelegate Around(ConnectionDelegate next) => connection =>
        connection.Features.Get<ITlsApplicationProtocolFeature>() is { } tls && tls.ApplicationProtocol.Span.SequenceEqual("h2"u8) ? next(connection) : GuardAsync(connection, next);

    /// <summary>Lets the guard of the request's connection know when protocols are switched. For requests that ask for another protocol.</summary>
    public static void WatchUpgrade(HttpContext context)
    {
        if (context.Features.Get<GuardedInput>() is { } input && context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true } upgrade)
            context.Features.Set<IHttpUpgradeFeature>(new WatchedUpgrade(upgrade, input));
    }

    private async Task GuardAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var transport = connection.Transport;
        var input = new GuardedInput(transport.Input, limits, connection.Features, time);
        connection.Features.Set(input);
        connection.Transport = new GuardedTransport(input, transport.Output);
        try
        {
            await next(connection);
            if (input.Refusal is not null)
                await input.LingerAsync();
        }
        finally
        {
            connection.Transport = transport;
            input.Complete();
        }
    }

    private sealed class GuardedTransport(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }

    private sealed class WatchedUpgrade(IHttpUpgradeFeature upgrade, GuardedInput input) : IHttpUpgradeFeature
    {
        public bool IsUpgradableRequest => upgrade.IsUpgradableRequest;

        public async Task<Stream> UpgradeAsync()
        {
            var stream = await upgrade.UpgradeAsync();
            input.Upgraded();
            return stream;
        }
    }
}
