using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;

namespace Alicia.Proxy.Benchmarks.Soak;

/// <summary>The callers of the soak: each sends one request after the other, of its own kind, to one of two services in turn.</summary>
internal sealed class SoakCallers : IDisposable
{
    /// <summary>Longer than every timeout of the proxy's that the soak sets, so that it is never the caller who ends an exchange but where it says so.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(60);

    private readonly Uri _address;
    private readonly SoakTally _tally;
    private readonly Func<string, Fate, long, bool> _explains;
    private readonly string[] _services;
    private readonly HttpClient _http;
    private readonly HttpClient _http2;
    private readonly CancellationTokenSource _over = new();

    /// <param name="address">The data plane's HTTP/1.1 listener.</param>
    /// <param name="h2c">Its HTTP/2 listener.</param>
    /// <param name="services">Where requests go, in turn.</param>
    /// <param name="tally">What they come to.</param>
    /// <param name="explains">Whether a trouble explains the failure of a request to this service that began at this <see cref="Stopwatch"/> timestamp.</param>
    public SoakCallers(Uri address, Uri h2c, string[] services, SoakTally tally, Func<string, Fate, long, bool> explains)
    {
        (_address, _services, _tally, _explains) = (address, services, tally, explains);
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false, PooledConnectionIdleTimeout = TimeSpan.FromSeconds(20) })
        {
            BaseAddress = address,
            Timeout = _patience,
        };
        _http2 = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false, PooledConnectionIdleTimeout = TimeSpan.FromSeconds(20) })
        {
            BaseAddress = new Uri($"http://{h2c.Authority}"),
            Timeout = _patience,
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
    }

    /// <summary>Runs <paramref name="share"/> times the usual number of callers until <see cref="Stop"/>, and lets every one finish its request.</summary>
    public Task RunAsync(int share) => Task.WhenAll(
    [
        .. Loops("GET 128 B", 12 * share, (s, r) => GetAsync(_http, $"/{s}/bytes?n=128&seed={r.Next(60_000)}", 128)),
        .. Loops("GET 10 KB", 6 * share, (s, r) => GetAsync(_http, $"/{s}/bytes?n=10240&seed={r.Next(60_000)}", 10_240)),
        .. Loops("GET 1 MB", 1 * share, (s, r) => GetAsync(_http, $"/{s}/bytes?n=1048576&seed={r.Next(60_000)}", SoakBodies.MaxLength)),
        .. Loops("GET chunked", 3 * share, (s, r) => GetAsync(_http, $"/{s}/chunked?n=100000&seed={r.Next(60_000)}", 100_000)),
        .. Loops("GET on a new connection", 3 * share, (s, r) => GetAsync(_http, $"/{s}/bytes?n=128&seed={r.Next(60_000)}", 128, close: true)),
        .. Loops("POST 10 KB", 4 * share, (s, r) => PostAsync(_http, s, r.Next(60_000), 10_240, chunked: false)),
        .. Loops("POST chunked", 2 * share, (s, r) => PostAsync(_http, s, r.Next(60_000), 200_000, chunked: true)),
        .. Loops("POST echo", 2 * share, (s, r) => EchoAsync(_http, s, r.Next(60_000), 100_000)),
        .. Loops("HTTP/2 GET", 4 * share, (s, r) => GetAsync(_http2, $"/{s}/bytes?n=10240&seed={r.Next(60_000)}", 10_240)),
        .. Loops("HTTP/2 POST", 2 * share, (s, r) => PostAsync(_http2, s, r.Next(60_000), 50_000, chunked: true)),
        .. Loops("HTTP/2 left", 1 * share, LeaveStreamAsync),
        .. Loops("left in the answer", 2 * share, LeaveAnswerAsync),
        .. Loops("left in the body", 2 * share, LeaveBodyAsync),
        .. Loops("WebSocket", 2 * share, FramesAsync),
    ]);

    public void Stop() => _over.Cancel();

    public void Dispose()
    {
        _http.Dispose();
        _http2.Dispose();
        _over.Dispose();
    }

    private IEnumerable<Task> Loops(string kind, int callers, Func<string, Random, Task<Fate>> call) =>
        Enumerable.Range(0, callers).Select(number => Task.Run(async () =>
        {
            var random = new Random(HashCode.Combine(kind.Length, number));
            for (var turn = number; !_over.IsCancellationRequested; turn++)
            {
                var service = _services[turn % _services.Length];
                var startedAt = Stopwatch.GetTimestamp();
                var fate = await FateAsync(() => call(service, random));
                _tally.Add(service, kind, fate, fate.IsFailure && _explains(service, fate, startedAt));
            }
        }));

    /// <summary>What became of a call, failures of the connection included.</summary>
    private static async Task<Fate> FateAsync(Func<Task<Fate>> call)
    {
        try
        {
            return await call();
        }
        catch (Exception e) when (e is HttpRequestException or IOException or WebSocketException or SocketException)
        {
            return new Fate("no answer", $"{e.GetType().Name}: {e.Message} {e.InnerException?.Message}");
        }
        catch (OperationCanceledException e)
        {
            return new Fate("nothing for a minute", e.Message);
        }
    }

    private static async Task<Fate> GetAsync(HttpClient http, string target, int length, bool close = false)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, target) { Version = http.DefaultRequestVersion, VersionPolicy = http.DefaultVersionPolicy };
        request.Headers.ConnectionClose = close ? true : null;
        using var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        return await ReadAsync(answer, int.Parse(target[(target.LastIndexOf('=') + 1)..], CultureInfo.InvariantCulture), length);
    }

    private static async Task<Fate> PostAsync(HttpClient http, string service, int seed, int length, bool chunked)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/{service}/sum?n={length}&seed={seed}") { Version = http.DefaultRequestVersion, VersionPolicy = http.DefaultVersionPolicy };
        request.Content = new ReadOnlyMemoryContent(SoakBodies.Of(seed, length));
        if (chunked)
        {
            request.Headers.TransferEncodingChunked = http.DefaultRequestVersion.Major == 1 ? true : null;
            request.Content.Headers.ContentLength = null;
        }

        using var answer = await http.SendAsync(request);
        return answer.StatusCode switch
        {
            HttpStatusCode.OK => new Fate(Fate.Whole),
            (HttpStatusCode)SoakInstance.WrongBytes => new Fate("wrong bytes", "in the request's body"),
            _ => await FailedAsync(answer),
        };
    }

    private static async Task<Fate> EchoAsync(HttpClient http, string service, int seed, int length)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/{service}/echo") { Content = new ReadOnlyMemoryContent(SoakBodies.Of(seed, length)) };
        using var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        return await ReadAsync(answer, seed, length);
    }

    private static async Task<Fate> ReadAsync(HttpResponseMessage answer, int seed, int length)
    {
        if (answer.StatusCode != HttpStatusCode.OK)
            return await FailedAsync(answer);
        using var late = new CancellationTokenSource(_patience);
        try
        {
            await using var body = await answer.Content.ReadAsStreamAsync();
            var read = await SoakBodies.ReadAsync(body, seed, late.Token);
            return read == length ? new Fate(Fate.Whole) : new Fate(read < 0 ? "wrong bytes" : "too short", $"{read} of {length}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return new Fate(Fate.Cut, e.Message);
        }
    }

    private static async Task<Fate> FailedAsync(HttpResponseMessage answer)
    {
        var said = answer.Headers.TryGetValues("Proxy-Status", out var values) ? string.Join(", ", values) : "";
        var error = said.Split("error=", 2) is [_, var rest] ? rest.Split(';', ',')[0] : "of the instance";
        return new Fate($"{(int)answer.StatusCode} {error}", $"{said} {await answer.Content.ReadAsStringAsync()}");
    }

    /// <summary>Goes away while the answer comes, with a reset or in order.</summary>
    private async Task<Fate> LeaveAnswerAsync(string service, Random random)
    {
        using var socket = await ConnectAsync();
        await socket.SendAsync(Encoding.ASCII.GetBytes($"GET /{service}/drip?n=1000000&seed=1 HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n"));
        using var late = new CancellationTokenSource(_patience);
        var buffer = new byte[16 * 1024];
        try
        {
            for (int wanted = random.Next(200_000), read; wanted > 0; wanted -= read)
            {
                read = await socket.ReceiveAsync(buffer, late.Token);
                if (read == 0)
                    break;
            }
        }
        catch (SocketException e)
        {
            // The proxy was faster to break off.
            return new Fate(Fate.Cut, e.Message);
        }

        return Leave(socket, random);
    }

    /// <summary>Goes away in the middle of its own body.</summary>
    private async Task<Fate> LeaveBodyAsync(string service, Random random)
    {
        using var socket = await ConnectAsync();
        await socket.SendAsync(Encoding.ASCII.GetBytes($"POST /{service}/sum?n=500000&seed=1 HTTP/1.1\r\nHost: soak\r\nContent-Length: 500000\r\n\r\n"));
        using var late = new CancellationTokenSource(_patience);
        for (int left = random.Next(300_000), part; left > 0; left -= part)
        {
            part = Math.Min(left, 20_000);
            try
            {
                await socket.SendAsync(SoakBodies.Of(1, part), late.Token);
            }
            catch (SocketException)
            {
                // The instance was faster to break off.
                break;
            }
        }

        await Task.Delay(random.Next(5));
        return Leave(socket, random);
    }

    private static Fate Leave(Socket socket, Random random)
    {
        socket.LingerState = new LingerOption(enable: random.Next(2) == 0, seconds: 0);
        return new Fate(Fate.Left);
    }

    private async Task<Fate> LeaveStreamAsync(string service, Random random)
    {
        using var enough = new CancellationTokenSource(random.Next(1, 100));
        try
        {
            using var answer = await _http2.GetAsync($"/{service}/drip?n=1000000&seed=1", HttpCompletionOption.ResponseHeadersRead, enough.Token);
            await using var body = await answer.Content.ReadAsStreamAsync(enough.Token);
            await SoakBodies.ReadAsync(body, 1, enough.Token);
        }
        catch (OperationCanceledException)
        {
            // As intended.
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            // Behind the leaving as intended too; before it, the answer was cut.
            if (!enough.IsCancellationRequested)
                return new Fate(Fate.Cut, e.Message);
        }

        return new Fate(Fate.Left);
    }

    /// <summary>A conversation of messages that must all come back; it ends with a farewell or without.</summary>
    private async Task<Fate> FramesAsync(string service, Random random)
    {
        using var late = new CancellationTokenSource(_patience);
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        try
        {
            await socket.ConnectAsync(new Uri($"ws://{_address.Authority}/{service}/ws"), late.Token);
        }
        catch (WebSocketException e)
        {
            var said = socket.HttpResponseHeaders?.TryGetValue("Proxy-Status", out var values) == true ? string.Join(", ", values) : "";
            return socket.HttpStatusCode == 0 ? new Fate("no answer", e.Message) : new Fate($"{(int)socket.HttpStatusCode} {(said.Split("error=", 2) is [_, var rest] ? rest.Split(';', ',')[0] : "of the instance")}", said);
        }

        var buffer = new byte[16 * 1024];
        try
        {
            for (var messages = random.Next(1, 30); messages > 0; messages--)
            {
                var (seed, length) = (random.Next(60_000), random.Next(1, buffer.Length));
                await socket.SendAsync(SoakBodies.Of(seed, length), WebSocketMessageType.Binary, endOfMessage: true, late.Token);
                var got = 0;
                for (var whole = false; !whole;)
                {
                    var frame = await socket.ReceiveAsync(buffer.AsMemory(got), late.Token);
                    if (frame.MessageType == WebSocketMessageType.Close)
                        return new Fate(Fate.Cut, $"a farewell: {socket.CloseStatus}");
                    got += frame.Count;
                    whole = frame.EndOfMessage;
                }

                if (!buffer.AsSpan(0, got).SequenceEqual(SoakBodies.Of(seed, length).Span))
                    return new Fate("wrong bytes", "in a message");
            }

            if (random.Next(4) == 0)
            {
                socket.Abort();
                return new Fate(Fate.Left);
            }

            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, late.Token);
            return new Fate(Fate.Whole);
        }
        catch (WebSocketException e)
        {
            return new Fate(Fate.Cut, e.Message);
        }
    }

    private async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, _address.Port);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
