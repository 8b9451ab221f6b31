using Alicia.Proxy.Connections;
using Alicia.Proxy.Direct;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Forwarding;

/// <content>The exchange as the direct forwarder sees it.</content>
internal sealed partial class Exchange : IDirectExchange
{
    AddressSlot IDirectExchange.Slot => _slot;

    string IDirectExchange.Target => _request.Target;

    void IDirectExchange.WriteFields(HttpContext context, HeadWriter head)
    {
        var sink = new HeadSink(head);
        WriteRequestFields(context, ref sink);
    }

    void IDirectExchange.WriteTrailers(IHeaderDictionary trailers, HeadWriter section)
    {
        foreach (var (name, values) in trailers)
        {
            if (MayTrail(name) && !ForwardedFields.IsInFamily(name) && !RequestIds.IsField(name) && Guard?.Removes(name) != true)
                section.Field(name, values);
        }
    }

    bool IDirectExchange.Answer(HttpContext context, ResponseHead head)
    {
        if (!HeadCame(head.Status, head.GrpcStatus, switched: false))
            return false;
        context.Response.StatusCode = head.Status;
        if (head.Reason is { } reason)
            context.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = reason;
        var source = new HeadSource(head);
        CopyResponseFields(context, ref source, head.Status, head.Connection, head.IsChunked);
        if (_deadline is not null && IsEventStream(context.Response.ContentType ?? ""))
            _deadline.StreamsEvents();
        _isGrpc = head.ContentLength < 0 && HttpProtocol.IsHttp2(context.Request.Protocol) && ProxyAnswer.IsGrpc(context.Request);
        return true;
    }

    void IDirectExchange.Trail(IHeaderDictionary trailers, ResponseHead section)
    {
        var source = new HeadSource(section);
        while (source.Next(out var name, out var values, out var again))
        {
            if (MayTrail(name))
                trailers[name] = again ? StringValues.Concat(trailers[name], values) : values;
        }
    }

    bool IDirectExchange.EndsWithStatus(Exception fault, HttpContext context)
    {
        if (!EndsWithStatus(fault) || context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is not { IsReadOnly: false } trailers)
            return false;
        AddCutStatus(trailers);
        return true;
    }

    /// <summary>Fields that say how a message is read or where it goes cannot come behind it (RFC 9110, section 6.5.1).</summary>
    private static bool MayTrail(string name) =>
        !HopByHop.IsFixed(name) && !name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase) && !name.Equals("Host", StringComparison.OrdinalIgnoreCase)
        && !name.Equals("Authorization", StringComparison.OrdinalIgnoreCase) && !name.Equals("Cookie", StringComparison.OrdinalIgnoreCase)
        && !name.Equals("Set-Cookie", StringComparison.OrdinalIgnoreCase) && !name.Equals("Content-Encoding", StringComparison.OrdinalIgnoreCase)
        && !name.Equals("Content-Type", StringComparison.OrdinalIgnoreCase) && !name.Equals("Content-Range", StringComparison.OrdinalIgnoreCase)
        && !name.Equals("Via", StringComparison.OrdinalIgnoreCase);

    /// <summary>The fields of a request as bytes.</summary>
    private readonly struct HeadSink(HeadWriter head) : IFieldSink
    {
        public void Host(string value) => head.Field("Host", value);

        public void Add(string name, StringValues values)
        {
            // The forwarder writes the framing itself, by the body that it sends.
            if (!name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase) && !name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase))
                head.Field(name, values);
        }
    }

    /// <summary>The fields of an answer where it was received.</summary>
    private struct HeadSource(ResponseHead head) : IFieldSource
    {
        private int _next;

        public bool Next(out string name, out StringValues values, out bool again)
        {
            if (_next == head.Count)
            {
                (name, values, again) = ("", StringValues.Empty, false);
                return false;
            }

            (name, values, again) = (head.NameOf(_next), head.ValueOf(_next), head.IsAgain(_next));
            _next++;
            return true;
        }
    }
}
