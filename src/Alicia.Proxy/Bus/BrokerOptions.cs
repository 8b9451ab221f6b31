using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.Configuration;
using MQTTnet;
using MQTTnet.Formatter;
using MQTTnet.Protocol;

namespace Alicia.Proxy.Bus;

/// <summary>Turns configuration into what the client library connects with. Certificates are read anew for each connection, so that a renewed one is used.</summary>
internal static class BrokerOptions
{
    /// <summary>Silence after which the connection is tested; the broker sends the last will after one and a half of it.</summary>
    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(15);

    /// <summary>How long connecting, or the answer to a packet, may take.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Largest packet that a broker may send under MQTT 5. Far beyond what is read, so that what is too large is seen, counted and logged.</summary>
    private const uint MaxPacket = 8 * 1024 * 1024;

    /// <summary>A client id of this process.</summary>
    public static string ClientId(MqttConfiguration configuration) =>
        configuration.ClientId ?? "load_balancer_" + RandomNumberGenerator.GetHexString(12, lowercase: true);

    /// <exception cref="IOException">A certificate's file cannot be read.</exception>
    /// <exception cref="CryptographicException">It holds no usable certificate or key.</exception>
    public static MqttClientOptions Of(MqttConfiguration configuration, string clientId, MqttProtocolVersion version, OutgoingMessage will, TimeProvider time)
    {
        var builder = new MqttClientOptionsBuilder()
            .WithTcpServer(configuration.Host, configuration.Port)
            .WithProtocolVersion(version)
            .WithClientId(clientId)
            .WithCleanSession()
            // The private bit that marks bridges in MQTT 3.1.1 makes strict brokers refuse.
            .WithTryPrivate(false)
            .WithKeepAlivePeriod(KeepAlive)
            .WithTimeout(Patience)
            .WithWillTopic(will.Topic)
            .WithWillPayload(will.Payload)
            .WithWillQualityOfServiceLevel(will.QualityOfService)
            .WithWillRetain(will.Retain);
        if (version == MqttProtocolVersion.V500)
            builder.WithMaximumPacketSize(MaxPacket);
        if (configuration.Username is not null)
            builder.WithCredentials(configuration.Username, configuration.Password ?? "");
        if (configuration.Tls is { } tls)
        {
            builder.WithTlsOptions(options =>
            {
                // A broker's certificate is checked in full; its revocation is not asked for, because a house's own authority answers nobody.
                options.UseTls().WithTargetHost(configuration.Host).WithRevocationMode(X509RevocationMode.NoCheck);
                if (tls.CaFile is not null)
                    options.WithTrustChain(Authorities(tls.CaFile));
                if (tls.CertificateFile is not null)
                    options.WithClientCertificates([ClientCertificate(tls)]);
            });
        }

        var options = builder.Build();
        ((MqttClientTcpOptions)options.ChannelOptions).StreamProvider = new BrokerStream.Provider(time);
        return options;
    }

    /// <summary>What the proxy hears, at least once each.</summary>
    public static MqttClientSubscribeOptions Subscription(Topics topics)
    {
        var builder = new MqttClientSubscribeOptionsBuilder();
        foreach (var filter in topics.Subscribed)
            builder.WithTopicFilter(filter, MqttQualityOfServiceLevel.AtLeastOnce);
        return builder.Build();
    }

    private static X509Certificate2Collection Authorities(string file)
    {
        var authorities = new X509Certificate2Collection();
        authorities.ImportFromPemFile(file);
        return authorities.Count > 0 ? authorities : throw new CryptographicException($"{file} holds no certificate in PEM.");
    }

    private static X509Certificate2 ClientCertificate(MqttTlsConfiguration tls) => tls.KeyPassword is { } password
        ? X509Certificate2.CreateFromEncryptedPemFile(tls.CertificateFile!, password, tls.KeyFile)
        : X509Certificate2.CreateFromPemFile(tls.CertificateFile!, tls.KeyFile);
}
