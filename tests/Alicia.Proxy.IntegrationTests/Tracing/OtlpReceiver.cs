using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Alicia.Proxy.IntegrationTests.Tracing;

/// <summary>A receiver of traces over OTLP: HTTP with protobuf at <c>/v1/traces</c>, or gRPC.</summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly ConcurrentQueue<OtlpSpan> _spans = new();
    private readonly ConcurrentQueue<string> _refused = new();
    private readonly WebApplication _server;

    private OtlpReceiver(WebApplication server) => _server = server;

    public Uri Address => new(_server.Urls.Single());

    public IReadOnlyList<OtlpSpan> Spans => [.. _spans];

    /// <summary>What came and is no export of traces.</summary>
    public IReadOnlyList<string> Refused => [.. _refused];

    /// <param name="grpc">Speaks gRPC over clear-text HTTP/2 instead.</param>
    /// <param name="port">0: any free one.</param>
    public static async Task<OtlpReceiver> StartAsync(bool grpc = false, int port = 0)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = grpc ? HttpProtocols.Http2 : HttpProtocols.Http1));
        var server = builder.Build();
        var receiver = new OtlpReceiver(server);
        server.Run(context => grpc ? receiver.TakeGrpcAsync(context) : receiver.TakeHttpAsync(context));
        await server.StartAsync();
        return receiver;
    }

    /// <summary>Waits until the spans of a request are there: its server span and as many client spans.</summary>
    public async Task<(OtlpSpan Server, OtlpSpan[] Clients)> RequestAsync(string requestId, int clients = 1)
    {
        var spans = await Eventually.Until($"spans of request {requestId}", () => Task.FromResult(Of(requestId)), spans => spans.Length == clients + 1, Deadlines.Start);
        return (spans.Single(s => s.Kind == OtlpSpan.Server), [.. spans.Where(s => s.Kind == OtlpSpan.Client)]);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private OtlpSpan[] Of(string requestId) =>
        Spans.FirstOrDefault(s => s.Attributes.GetValueOrDefault("alicia.request_id") == requestId) is { } server
            ? [.. Spans.Where(s => s.TraceId == server.TraceId && (s == server || s.ParentId == server.SpanId))]
            : [];

    private async Task TakeHttpAsync(HttpContext context)
    {
        if (context.Request is not { Method: "POST", Path.Value: "/v1/traces", ContentType: "application/x-protobuf" })
        {
            _refused.Enqueue($"{context.Request.Method} {context.Request.Path} {context.Request.ContentType}");
            context.Response.StatusCode = 404;
            return;
        }

        Keep(await BodyAsync(context));
        context.Response.ContentType = "application/x-protobuf";
    }

    private async Task TakeGrpcAsync(HttpContext context)
    {
        if (context.Request.Path != "/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        {
            _refused.Enqueue($"{context.Request.Method} {context.Request.Path}");
            context.Response.StatusCode = 404;
            return;
        }

        var body = await BodyAsync(context);
        var length = BinaryPrimitives.ReadInt32BigEndian(body.AsSpan(1));
        Keep(body[5..(5 + length)]);
        context.Response.ContentType = "application/grpc";
        // An empty message, uncompressed.
        await context.Response.Body.WriteAsync(new byte[5]);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    private void Keep(byte[] request)
    {
        foreach (var span in OtlpMessages.Spans(request))
            _spans.Enqueue(span);
    }

    private static async Task<byte[]> BodyAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        return body.ToArray();
    }
}
