using System.Net;
using Alicia.Proxy.Health;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Alicia.Proxy.UnitTests.Health;

/// <summary>HTTP/2 in clear text and gRPC, against a real server.</summary>
public sealed class Http2ProbeTests : ProberFixture
{
    private readonly List<(string Protocol, string Method, string Host, string Agent)> _seen = [];
    private readonly List<string> _connections = [];
    private WebApplication? _server;

    public override async Task DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
        await base.DisposeAsync();
    }

    [Theory]
    [InlineData(200, true)]
    [InlineData(404, true)]
    [InlineData(503, false)]
    public async Task Http_goes_over_h2c_when_the_instance_speaks_it(int status, bool passes)
    {
        var port = await ServeAsync(context =>
        {
            context.Response.StatusCode = status;
            return context.Response.WriteAsync("well");
        });

        var result = await ProbeAsync(Endpoint(port, protocol: UpstreamProtocol.H2c), (SettingKeys.HealthCheckHost, "tts.example"), (SettingKeys.HealthCheckBody, "well"));

        result.Failure.Should().Be(passes ? null : ProbeFailure.Status, result.Detail);
        _seen.Should().Equal(("HTTP/2", "GET", "tts.example", "Alicia.Proxy"));
    }

    [Fact]
    public async Task Each_probe_has_a_connection_of_its_own_over_HTTP_2_too()
    {
        var port = await ServeAsync(_ => Task.CompletedTask);
        var endpoint = Endpoint(port, protocol: UpstreamProtocol.H2c);

        for (var i = 0; i < 3; i++)
            (await ProbeAsync(endpoint)).Passed.Should().BeTrue();

        _connections.Should().HaveCount(3).And.OnlyHaveUniqueItems();
        _seen[0].Host.Should().Be($"127.0.0.1:{port}");
    }

    [Fact]
    public async Task An_HTTP_1_instance_does_not_pass_for_h2c()
    {
        await using var instance = RawInstance.Answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");

        // Now and then the answer is there before the client has sent its part, which it tells in another way.
        for (var i = 0; i < 50; i++)
        {
            var result = await ProbeAsync(Endpoint(instance.Port, protocol: UpstreamProtocol.H2c));
            result.Failure.Should().Be(ProbeFailure.Protocol, result.Detail);
        }
    }

    [Theory]
    [InlineData(1, null, "SERVING")]
    [InlineData(2, ProbeFailure.NotServing, "NOT_SERVING")]
    [InlineData(0, ProbeFailure.NotServing, "UNKNOWN")]
    [InlineData(3, ProbeFailure.NotServing, "SERVICE_UNKNOWN")]
    [InlineData(9, ProbeFailure.NotServing, "9")]
    public async Task Grpc_passes_when_it_serves(byte status, object? failure, string detail)
    {
        var port = await ServeGrpcAsync(status == 0 ? [] : [0x08, status]);

        // The registration says nothing of HTTP/2: gRPC needs it all the same.
        var result = await ProbeAsync(port, (SettingKeys.HealthCheckType, "grpc"));

        result.Failure.Should().Be((ProbeFailure?)failure, result.Detail);
        result.Detail.Should().Be(detail);
        _seen.Should().Equal(("HTTP/2", "POST", $"127.0.0.1:{port}", "Alicia.Proxy"));
    }

    [Fact]
    public async Task Grpc_without_a_health_service_is_told_so()
    {
        var port = await ServeAsync(context =>
        {
            context.Response.ContentType = "application/grpc";
            context.Response.Headers["grpc-status"] = "12";
            return Task.CompletedTask;
        });

        var result = await ProbeAsync(port, (SettingKeys.HealthCheckType, "grpc"));

        result.Failure.Should().Be(ProbeFailure.Status);
        result.Detail.Should().Contain("UNIMPLEMENTED").And.Contain("grpc.health.v1.Health");
    }

    [Theory]
    [InlineData(200, "5", "gRPC status 5", ProbeFailure.Status)]
    [InlineData(404, null, "HTTP status 404", ProbeFailure.Status)]
    [InlineData(200, null, "without grpc-status", ProbeFailure.Protocol)]
    [InlineData(200, "0", "no HealthCheckResponse", ProbeFailure.Protocol)]
    public async Task Grpc_that_fails_otherwise(int status, string? grpc, string detail, object failure)
    {
        var port = await ServeAsync(context =>
        {
            context.Response.StatusCode = status;
            if (grpc is not null)
                context.Response.Headers["grpc-status"] = grpc;
            return Task.CompletedTask;
        });

        var result = await ProbeAsync(port, (SettingKeys.HealthCheckType, "grpc"));

        result.Failure.Should().Be((ProbeFailure)failure, result.Detail);
        result.Detail.Should().Contain(detail);
    }

    [Fact]
    public async Task Grpc_that_hangs_takes_the_timeout()
    {
        var port = await ServeAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));

        (await ProbeAsync(port, (SettingKeys.HealthCheckType, "grpc"), (SettingKeys.HealthCheckTimeout, TimeSpan.FromMilliseconds(300))))
            .Failure.Should().Be(ProbeFailure.Timeout);
    }

    [Theory]
    [InlineData("0801", true, 1)]
    [InlineData("", true, 0)]
    [InlineData("08828080808080808080" + "01", true, 0x8000000000000002)]
    [InlineData("1203616263" + "0801", true, 1)]
    [InlineData("0801" + "150a0b0c0d" + "190102030405060708" + "2005", true, 1)]
    [InlineData("08", false, 0)]
    [InlineData("0880", false, 0)]
    [InlineData("08ffffffffffffffffffffff", false, 0)]
    [InlineData("120a61", false, 0)]
    [InlineData("12ffffffffffffffffff01", false, 0)]
    [InlineData("0b", false, 0)]
    public void The_answer_is_read_as_protobuf_wants_it(string hex, bool reads, ulong status)
    {
        var message = Convert.FromHexString(hex);

        GrpcProbe.TryReadStatus([0, 0, 0, 0, (byte)message.Length, .. message], out var read).Should().Be(reads);

        if (reads)
            read.Should().Be(status);
        GrpcProbe.TryReadStatus([1, 0, 0, 0, (byte)message.Length, .. message], out _).Should().BeFalse("compressed");
        GrpcProbe.TryReadStatus([0, 0, 0, 0, (byte)(message.Length + 1), .. message], out _).Should().BeFalse("cut");
        GrpcProbe.TryReadStatus([0, 0, 0, 0], out _).Should().BeFalse();
    }

    private Task<int> ServeGrpcAsync(byte[] message) => ServeAsync(async context =>
    {
        context.Request.Path.Value.Should().Be("/grpc.health.v1.Health/Check");
        context.Request.ContentType.Should().Be("application/grpc");
        context.Request.Headers.TE.ToString().Should().Be("trailers");
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        body.ToArray().Should().Equal(0, 0, 0, 0, 0);
        context.Response.ContentType = "application/grpc";
        await context.Response.Body.WriteAsync((byte[])[0, 0, 0, 0, (byte)message.Length, .. message]);
        context.Response.AppendTrailer("grpc-status", "0");
    });

    private async Task<int> ServeAsync(RequestDelegate answer)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.ClearProviders();
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listener => listener.Protocols = HttpProtocols.Http2));
        _server = builder.Build();
        _server.Run(context =>
        {
            lock (_seen)
            {
                _seen.Add((context.Request.Protocol, context.Request.Method, context.Request.Host.Value!, context.Request.Headers.UserAgent.ToString()));
                _connections.Add(context.Features.GetRequiredFeature<IHttpConnectionFeature>().ConnectionId);
            }

            return answer(context);
        });
        await _server.StartAsync();
        var address = _server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        return new Uri(address).Port;
    }
}
