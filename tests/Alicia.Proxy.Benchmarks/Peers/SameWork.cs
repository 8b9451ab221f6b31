using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Alicia.Proxy.Benchmarks.Peers;

/// <summary>What every answer of a proxy to a case has to be.</summary>
/// <param name="Bytes">Its length with its head; over HTTP/2 that of its body.</param>
/// <param name="Cipher">What TLS agreed upon; null in clear text.</param>
internal sealed record Answer(long Bytes, string? Cipher);

/// <summary>
/// Holds proxies to the same work before figures are compared: each adds forwarding fields that instances see, and each answer has its whole length. A proxy that leaves something out, or answers
/// by itself, would be the fastest of all.
/// </summary>
internal static class SameWork
{
    /// <summary>Asks once what the load will ask many times.</summary>
    /// <exception cref="InvalidOperationException">The proxy does not do what the case is about.</exception>
    public static async Task<Answer> ProveAsync(LoadCase @case, string peer, Setup setup, CancellationToken cancellation)
    {
        // The certificate is one of this run's own making.
        using var handler = new SocketsHttpHandler { UseProxy = false, SslOptions = { RemoteCertificateValidationCallback = static (_, _, _, _) => true } };
        using var client = new HttpClient(handler) { DefaultRequestVersion = @case.Tool == LoadTool.H2load ? HttpVersion.Version20 : HttpVersion.Version11, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        var authority = new Uri(@case.Url(setup)).GetLeftPart(UriPartial.Authority);
        var fields = await client.GetStringAsync(authority + "/fields", cancellation);
        if (fields.Split(' ') is not [.., var proto, { Length: > 0 }] || proto != (@case.OverTls ? "https" : "http") || !fields.StartsWith("127.0.0.1 ", StringComparison.Ordinal))
            throw new InvalidOperationException($"{@case.Name} through {peer}: the instance saw the forwarding fields '{fields}'");
        if (@case.Tool == LoadTool.H2load)
        {
            var body = await client.GetByteArrayAsync(@case.Url(setup), cancellation);
            return body.Length == @case.BodyBytes ? new(body.Length, null) : throw Wrong(body.Length);
        }

        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, @case.Port(setup), cancellation);
        Stream stream = socket.GetStream();
        string? cipher = null;
        if (@case.OverTls)
        {
            var tls = new SslStream(stream, leaveInnerStreamOpen: false, static (_, _, _, _) => true);
            await tls.AuthenticateAsClientAsync("localhost");
            (stream, cipher) = (tls, $"{tls.NegotiatedCipherSuite}");
        }

        await using var connection = stream;
        await stream.WriteAsync(Request(@case, setup), cancellation);
        using var answer = new MemoryStream();
        var buffer = new byte[64 * 1024];
        while (Missing(answer) is var missing && missing != 0)
        {
            var read = await stream.ReadAsync(buffer, cancellation);
            if (read == 0)
                throw new InvalidOperationException($"{@case.Name} through {peer}: the answer broke off after {answer.Length} bytes");
            answer.Write(buffer.AsSpan(0, read));
        }

        var head = Head(answer)!;
        if (!head.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal))
            throw new InvalidOperationException($"{@case.Name} through {peer}: {head}");
        return answer.Length - head.Length - 4 == @case.BodyBytes ? new(answer.Length, cipher) : throw Wrong(answer.Length - head.Length - 4);

        InvalidOperationException Wrong(long length) => new(string.Create(CultureInfo.InvariantCulture, $"{@case.Name} through {peer}: a body of {length} bytes, not {@case.BodyBytes}"));
    }

    /// <summary>Null when every answer was right and whole, else what was wrong.</summary>
    /// <param name="case">What was asked.</param>
    /// <param name="figures">What came.</param>
    /// <param name="answer">What each had to be.</param>
    public static string? Fault(LoadCase @case, LoadFigures figures, Answer answer)
    {
        if (figures.Failed > 0 || figures.Requests == 0)
            return string.Create(CultureInfo.InvariantCulture, $"{figures.Failed} requests failed, {figures.Requests} did not: {figures.Output}");
        // Answers that were under way at the end are counted in bytes alone.
        var underWay = @case.Connections * (@case.Tool == LoadTool.H2load ? LoadCase.StreamsPerConnection : 1);
        return figures.Bytes < figures.Requests * answer.Bytes || figures.Bytes > (figures.Requests + underWay) * answer.Bytes
            ? string.Create(CultureInfo.InvariantCulture, $"{figures.Requests} answers of {answer.Bytes} bytes came as {figures.Bytes} bytes")
            : null;
    }

    private static byte[] Request(LoadCase @case, Setup setup) => Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"""
        {(@case.Posts ? "POST" : "GET")} {@case.Path} HTTP/1.1
        Host: 127.0.0.1:{@case.Port(setup)}
        {(@case.NewConnections ? "Connection: close\n" : "")}{(@case.Posts ? $"Content-Length: {LoadCase.PostBytes}\n" : "")}

        """).ReplaceLineEndings("\r\n") + (@case.Posts ? new string('x', LoadCase.PostBytes) : ""));

    private static string? Head(MemoryStream answer)
    {
        var text = Encoding.Latin1.GetString(answer.GetBuffer(), 0, (int)Math.Min(answer.Length, 16 * 1024));
        return text.IndexOf("\r\n\r\n", StringComparison.Ordinal) is >= 0 and var end ? text[..end] : null;
    }

    private static long Missing(MemoryStream answer)
    {
        if (Head(answer) is not { } head)
            return -1;
        var length = head.Split("\r\n").Select(l => l.Split(':', 2)).Where(f => f[0].Equals("Content-Length", StringComparison.OrdinalIgnoreCase)).Select(f => f[1].Trim()).FirstOrDefault();
        return length is null ? throw new InvalidOperationException($"no length: {head}") : head.Length + 4 + long.Parse(length, CultureInfo.InvariantCulture) - answer.Length;
    }
}
