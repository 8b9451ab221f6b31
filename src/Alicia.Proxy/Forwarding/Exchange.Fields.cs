using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Forwarding;

/// <content>
/// Which fields go to the instance and which come back, whoever carries them. The framing of a body (Transfer-Encoding, and Content-Length where it is not the caller's) belongs to the
/// carrier.
/// </content>
internal sealed partial class Exchange
{
    /// <summary>Writes the fields of the request to the instance.</summary>
    /// <exception cref="BadHttpRequestException">A field cannot be passed on.</exception>
    private void WriteRequestFields<TSink>(HttpContext context, ref TSink sink)
        where TSink : struct, IFieldSink
    {
        var request = context.Request;
        var connection = request.Headers.Connection;
        var mayNominate = HopByHop.MayNominate(connection);
        var trace = Record?.Propagated;
        string? via = null;
        // A Content-Length beside Transfer-Encoding is a smuggling attempt or a mistake; the framing that counts is the transfer coding.
        var rules = _settings.RequestFields;
        var hasCoding = request.Headers.TransferEncoding.Count > 0;

        var host = _settings.Get(SettingKeys.HostHeader) == "instance" ? _member.Endpoint.HostAndPort : request.Headers.Host.ToString();
        sink.Host(host.Length > 0 ? host : _member.Endpoint.HostAndPort);
        foreach (var (name, values) in request.Headers)
        {
            if (name[0] == ':' || HopByHop.IsFixed(name) || ForwardedFields.IsInFamily(name) || name.Equals("Host", StringComparison.OrdinalIgnoreCase) || RequestIds.IsField(name))
                continue;
            if (trace is not null && RequestSpans.IsTraceField(name))
                continue;
            if (hasCoding && name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
                continue;
            if (mayNominate && HopByHop.IsNominated(connection, name))
                continue;
            if (name.Equals("Via", StringComparison.OrdinalIgnoreCase))
            {
                via = string.Join(", ", (IEnumerable<string?>)values);
                continue;
            }

            if (Guard is not null && Guard.Removes(name))
                continue;
            if (rules is not null && rules.Drops(name))
                continue;
            sink.Add(name, values);
        }

        if (rules is not null)
        {
            foreach (var (name, value) in rules.Written)
                sink.Add(name, value);
            foreach (var (name, value) in rules.Added)
                sink.Add(name, value);
        }

        if (HttpProtocol.IsHttp2(request.Protocol) && request.Headers.TE.ToString().Contains("trailers", StringComparison.OrdinalIgnoreCase))
        {
            sink.Add("TE", "trailers");
            // HTTP/2 has no Connection field; in HTTP/1.1 TE without it would be for the next hop but one.
            if (_member.Endpoint.Protocol == UpstreamProtocol.Http1)
                sink.Add("Connection", "TE");
        }

        ForwardedFields.Write(context, ref sink, _request.StrippedPrefix, _options.Trusted);
        sink.Add("Via", via is null ? LoopGuard.MarkOf(request) : $"{via}, {LoopGuard.MarkOf(request)}");
        sink.Add(RequestIds.Field, context.TraceIdentifier);
        if (trace is not null)
        {
            sink.Add("traceparent", trace.Id);
            if (!string.IsNullOrEmpty(trace.TraceStateString))
                sink.Add("tracestate", trace.TraceStateString);
        }
    }

    /// <summary>Hands the fields of the instance's answer on to the caller, but for those that are between the instance and the proxy.</summary>
    /// <param name="context">The request.</param>
    /// <param name="source">The answer's fields.</param>
    /// <param name="status">Its status.</param>
    /// <param name="connection">Its <c>Connection</c> field.</param>
    /// <param name="isChunked">Whether its body has a transfer coding.</param>
    /// <exception cref="InvalidOperationException">A field that no server may send.</exception>
    private void CopyResponseFields<TSource>(HttpContext context, ref TSource source, int status, StringValues connection, bool isChunked)
        where TSource : struct, IFieldSource
    {
        var target = context.Response.Headers;
        var mayNominate = HopByHop.MayNominate(connection);
        var keepTrailer = HttpProtocol.IsHttp2(context.Request.Protocol);
        // An instance that has an id of its own for the request tells that one.
        target[RequestIds.Field] = context.TraceIdentifier;
        while (source.Next(out var name, out var values, out var again))
        {
            if ((HopByHop.IsFixed(name) && !(keepTrailer && name.Equals("Trailer", StringComparison.OrdinalIgnoreCase)))
                || (mayNominate && HopByHop.IsNominated(connection, name)))
            {
                continue;
            }

            target[name] = again ? StringValues.Concat(target[name], values) : values;
        }

        // With a transfer coding, a length is not the message's; and 204 has neither body nor length, whatever it says.
        if (isChunked || (status == StatusCodes.Status204NoContent && target.ContentLength > 0))
            target.Remove("Content-Length");
        if (_settings.ResponseFields is { } rules)
            Apply(rules, target);
        Affinity?.Keep(context, _member, _request.StrippedPrefix);
        Guard?.Amend(target);
    }

    private static void Apply(FieldRules rules, IHeaderDictionary target)
    {
        List<string>? gone = null;
        foreach (var (name, _) in target)
        {
            if (rules.Drops(name))
                (gone ??= []).Add(name);
        }

        foreach (var name in gone ?? [])
            target.Remove(name);
        foreach (var (name, value) in rules.Written)
            target[name] = value;
        foreach (var (name, value) in rules.Added)
            target.Append(name, value);
    }
}
