using System.Diagnostics.Metrics;
using Alicia.Proxy.ProxyProtocol;
using Alicia.Proxy.Tls;

namespace Alicia.Proxy.Telemetry;

/// <summary>What comes before HTTP: TLS handshakes, certificates, PROXY headers.</summary>
internal sealed class TlsMetrics
{
    public TlsMetrics(ProxyMeter meter, CertificateStore certificates, Handshakes handshakes, ProxyHeaders headers, TimeProvider time)
    {
        meter.Gauge("alicia_tls_certificate_expiry", "s", SeriesPer.Proxy, "Time until a certificate ends; below zero when it has.", () =>
            certificates.Ends.Select(c => new Measurement<double>((c.Ends - time.GetUtcNow().UtcDateTime).TotalSeconds, [new("certificate", c.Name), new("use", c.Use)])));
        meter.Counter("alicia_tls_certificate_reloads", null, SeriesPer.Proxy, "Changed certificate files, by what came of them.", () =>
            (IEnumerable<Measurement<long>>)[new(certificates.Reloads, [new("result", "taken")]), new(certificates.Failures, [new("result", "refused")])]);
        meter.Counter("alicia_tls_handshakes", null, "Handshakes with callers that succeeded.", () => handshakes.Done);
        meter.Counter("alicia_tls_handshakes_failed", null, SeriesPer.Proxy, "Handshakes with callers that failed, by reason.", () =>
            Enum.GetValues<HandshakeFailure>().Select(f => new Measurement<long>(handshakes.Failed(f), [new("reason", MetricLabels.Of(f))])));
        meter.Counter("alicia_proxy_protocol_refused", null, SeriesPer.Proxy, "Connections cut off for want of a PROXY header, by reason.", () =>
            Enum.GetValues<ProxyHeaderRefusal>().Select(r => new Measurement<long>(headers.Refused(r), [new("reason", MetricLabels.Of(r))])));
    }
}
