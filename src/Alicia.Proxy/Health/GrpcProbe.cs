using System.Buffers.Binary;
using System.Globalization;
using System.Net.Http.Headers;
using Alicia.Proxy.Connections;

namespace Alicia.Proxy.Health;

/// <summary>
/// The gRPC part of a probe: <c>grpc.health.v1.Health/Check</c> for the server as a whole. Its two messages are one field each, which is less than a protobuf library
/// needs to be asked for them.
/// </summary>
internal static class GrpcProbe
{
    private const string Path = "/grpc.health.v1.Health/Check";
    private const int Ok = 0;
    private const int Unimplemented = 12;

    /// <summary>Not compressed, no bytes: a HealthCheckRequest whose <c>service</c> is empty, which asks for the whole server.</summary>
    private static readonly byte[] WholeServer = [0, 0, 0, 0, 0];

    /// <summary>Names of <c>ServingStatus</c>, by number.</summary>
    private static readonly string[] ServingStatuses = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

    private const ulong Serving = 1;

    // Wire types of protobuf.
    private const int Varint = 0;
    private const int Fixed64 = 1;
    private const int Delimited = 2;
    private const int Fixed32 = 5;

    /// <summary>Most of a message that is read; a HealthCheckResponse has two bytes, and room for fields that later versions add.</summary>
    private const int MaxMessage = 4096;

    /// <exception cref="HttpRequestException">The exchange failed, as do <see cref="IOException"/> and <see cref="OperationCanceledException"/>.</exception>
    public static async Task<ProbeResult> RunAsync(HttpMessageInvoker client, UpstreamEndpoint endpoint, ProbeSettings settings, CancellationToken cancellation)
    {
        using var request = HttpProbe.Request(HttpMethod.Post, endpoint, settings, Path, http2: true);
        request.Headers.TryAddWithoutValidation("TE", "trailers");
        request.Content = new ByteArrayContent(WholeServer);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        using var answer = await client.SendAsync(request, cancellation);
        var http = (int)answer.StatusCode;
        if (http != 200)
            return ProbeResult.Fail(ProbeFailure.Status, string.Create(CultureInfo.InvariantCulture, $"HTTP status {http} where gRPC has 200"));

        var message = new byte[MaxMessage];
        var length = await ReadAsync(answer.Content, message, cancellation);
        // An answer without a message may have its status in the head.
        switch (StatusOf(answer.TrailingHeaders) ?? StatusOf(answer.Headers))
        {
            case null:
                return ProbeResult.Fail(ProbeFailure.Protocol, "an answer without grpc-status");
            case Ok:
                return Judge(message.AsSpan(0, length));
            case Unimplemented:
                return ProbeResult.Fail(ProbeFailure.Status, "gRPC status 12 (UNIMPLEMENTED): the instance has no service grpc.health.v1.Health");
            case { } status:
                return ProbeResult.Fail(ProbeFailure.Status, string.Create(CultureInfo.InvariantCulture, $"gRPC status {status}"));
        }
    }

    private static ProbeResult Judge(ReadOnlySpan<byte> answer)
    {
        if (!TryReadStatus(answer, out var serving))
            return ProbeResult.Fail(ProbeFailure.Protocol, "the answer is no HealthCheckResponse");
        var name = serving < (ulong)ServingStatuses.Length ? ServingStatuses[serving] : serving.ToString(CultureInfo.InvariantCulture);
        return serving == Serving ? ProbeResult.Pass(name) : ProbeResult.Fail(ProbeFailure.NotServing, name);
    }

    /// <summary>
    /// Reads one uncompressed gRPC message that is a HealthCheckResponse: field 1 is the status, any other is passed over. A status of 0 is not sent.
    /// </summary>
    public static bool TryReadStatus(ReadOnlySpan<byte> answer, out ulong status)
    {
        status = 0;
        // One byte "compressed", four bytes of length, and nothing behind the message.
        if (answer.Length < 5 || answer[0] != 0 || BinaryPrimitives.ReadUInt32BigEndian(answer[1..]) != answer.Length - 5)
            return false;
        var rest = answer[5..];
        while (rest.Length > 0)
        {
            if (!TryReadVarint(ref rest, out var tag))
                return false;
            ulong value = 0;
            var skip = (tag & 7) switch
            {
                Varint => TryReadVarint(ref rest, out value) ? 0 : -1,
                Fixed64 => 8,
                Delimited => TryReadVarint(ref rest, out var length) && length <= MaxMessage ? (int)length : -1,
                Fixed32 => 4,
                _ => -1,
            };
            if (skip < 0 || skip > rest.Length)
                return false;
            rest = rest[skip..];
            if (tag == (1 << 3 | Varint))
                status = value;
        }

        return true;
    }

    private static bool TryReadVarint(ref ReadOnlySpan<byte> rest, out ulong value)
    {
        value = 0;
        for (var i = 0; i < Math.Min(rest.Length, 10); i++)
        {
            value |= (ulong)(rest[i] & 0x7f) << (7 * i);
            if (rest[i] < 0x80)
            {
                rest = rest[(i + 1)..];
                return true;
            }
        }

        return false;
    }

    private static async Task<int> ReadAsync(HttpContent content, byte[] buffer, CancellationToken cancellation)
    {
        // To the end, because the trailers come behind it.
        await using var body = await content.ReadAsStreamAsync(cancellation);
        return await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellation);
    }

    private static int? StatusOf(HttpHeaders fields) =>
        fields.NonValidated.TryGetValues("grpc-status", out var values)
        && int.TryParse(values.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var status) ? status : null;
}
