using Alicia.Proxy.Events;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Api;

/// <summary>
/// Everyone who follows the events over HTTP: how many there may be, and how each of them ends. Nobody stays for longer than it reads, and nobody holds up the
/// end of the process.
/// </summary>
internal sealed partial class EventStreams(EventLog log, TimeProvider time, ILogger<EventStreams> logger)
{
    /// <summary>Followers at once; each costs a connection and at most a queue of the log.</summary>
    public const int Limit = 256;

    /// <summary>How long a follower may take, at the end of the process, to fetch what was sent last.</summary>
    public static readonly TimeSpan LastReading = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stopping = new();
    private int _open;

    /// <summary>Who follows now.</summary>
    public int Open => Volatile.Read(ref _open);

    /// <summary>Streams events until the caller leaves, does not keep up, or the process stops.</summary>
    /// <param name="context">The caller's request.</param>
    /// <param name="after">Last id that the caller has seen, or null.</param>
    /// <param name="shows">Which services' events it gets.</param>
    /// <param name="dismissed">Ends the stream in order.</param>
    /// <returns>False when nothing was sent, because there are too many or the process stops.</returns>
    public async Task<bool> ServeAsync(HttpContext context, long? after, Func<string, bool> shows, CancellationToken dismissed = default)
    {
        var stopping = _stopping.Token;
        try
        {
            if (Interlocked.Increment(ref _open) > Limit || stopping.IsCancellationRequested)
                return false;
            using var follower = log.Follow(after);
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(follower.CutOff, stopping, context.RequestAborted, dismissed);
            SetHead(context.Response);
            context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
            var taken = await new EventStream(context.Response.BodyWriter, follower, shows, time, ended.Token).RunAsync();
            if (follower.CutOff.IsCancellationRequested)
                LogCutOff(logger, context.Connection.RemoteIpAddress, context.Connection.RemotePort);
            // What is on its way to who does not read would be kept for it as long as its connection lives: an end in order is for the others.
            if (!taken || follower.CutOff.IsCancellationRequested)
                context.Abort();
            else if (stopping.IsCancellationRequested)
                LimitLastReading(context);
            return true;
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }

    /// <summary>Ends every stream and takes no more: the process is about to close its connections.</summary>
    public void End() => _stopping.Cancel();

    public static void SetHead(HttpResponse response)
    {
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        // Proxies in front would collect events until a buffer is full; nginx listens to this.
        response.Headers["X-Accel-Buffering"] = "no";
    }

    /// <summary>
    /// The last bytes may sit in buffers in front of a peer that does not read, and the server would wait for it to the end of the shutdown timeout. Over
    /// HTTP/2 others may have requests on the connection, so there that bound remains.
    /// </summary>
    private void LimitLastReading(HttpContext context)
    {
        if (!HttpProtocol.IsHttp11(context.Request.Protocol) || context.Features.Get<IConnectionLifetimeFeature>() is not { } connection)
            return;
        var limit = time.CreateTimer(_ => connection.Abort(), null, LastReading, Timeout.InfiniteTimeSpan);
        connection.ConnectionClosed.UnsafeRegister(static timer => ((ITimer)timer!).Dispose(), limit);
    }

    [LoggerMessage(LogLevel.Information, "A reader of events at {Address}:{Port} did not keep up and was cut off")]
    private static partial void LogCutOff(ILogger logger, System.Net.IPAddress? address, int port);
}
