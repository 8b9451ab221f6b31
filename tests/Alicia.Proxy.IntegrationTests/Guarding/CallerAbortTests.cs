using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>Callers who leave say nothing of the instance.</summary>
[Trait("Depends", "forwarder")]
public sealed class CallerAbortTests(GuardedProxy guarded) : IClassFixture<GuardedProxy>
{
    [Fact]
    public async Task A_storm_of_callers_who_leave_before_the_answer_opens_nothing()
    {
        const int Batches = 10;
        const int Batch = 40;
        var service = await guarded.ServiceAsync(2);
        for (var batch = 0; batch < Batches; batch++)
        {
            using var leave = new CancellationTokenSource();
            var sent = Enumerable.Range(0, Batch).Select(n => n % 2 == 0
                ? guarded.Http.GetAsync($"/{service}/hang", leave.Token)
                : guarded.Http.PostAsync($"/{service}/hang", new ByteArrayContent(new byte[1000]), leave.Token)).ToArray();
            await guarded.Registry.UntilAsync("all are in flight", $"/stats/{service}", s => s.GetProperty("active_connections").GetInt32() == Batch);
            await leave.CancelAsync();
            foreach (var request in sent)
                await request.Invoking(r => r).Should().ThrowAsync<OperationCanceledException>();
            await guarded.Registry.UntilAsync("all are gone", $"/stats/{service}", s => s.GetProperty("active_connections").GetInt32() == 0);
        }

        var stats = await guarded.Registry.GetJsonAsync($"/stats/{service}");
        (stats.GetProperty("aborted_requests").GetInt64(), stats.GetProperty("failed_requests").GetInt64()).Should().Be(
            (Batches * Batch, 0), string.Join('\n', guarded.Proxy.Process.Errors));
        var document = await guarded.Registry.ServiceAsync(service);
        foreach (var id in document.Ids())
        {
            var instance = document.Instance(id);
            (instance.Circuit(), instance.Failures(), instance.Health(), instance.GetProperty("failed_requests").GetInt64()).Should().Be(("closed", 0, "healthy", 0));
        }

        (await guarded.BackendsOfAsync(service, 10)).Distinct().Should().HaveCount(2);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Callers_who_leave_in_the_middle_of_their_requests_are_counted_as_such(bool reset)
    {
        const int Callers = 60;
        var service = await guarded.ServiceAsync(1);
        var callers = new List<RawConnection>();
        for (var i = 0; i < Callers; i++)
        {
            var caller = await RawConnection.ConnectAsync(guarded.Proxy.Address);
            await caller.SendAsync($"POST /{service}/sink HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nnot all of it");
            callers.Add(caller);
        }

        await guarded.Registry.UntilAsync("all are in flight", $"/stats/{service}", s => s.GetProperty("active_connections").GetInt32() == Callers);
        foreach (var caller in callers)
        {
            if (reset)
                caller.Reset();
            else
                caller.Dispose();
        }

        var stats = await guarded.Registry.UntilAsync("all are gone", $"/stats/{service}", s => s.GetProperty("active_connections").GetInt32() == 0);
        (stats.GetProperty("aborted_requests").GetInt64(), stats.GetProperty("failed_requests").GetInt64()).Should().Be((Callers, 0));
        var instance = await guarded.Registry.InstanceAsync(service, "a");
        (instance.Circuit(), instance.Failures()).Should().Be(("closed", 0));
    }

    [Fact]
    public async Task Callers_who_leave_do_not_hide_failures_either()
    {
        var service = await guarded.ServiceAsync(1, new { health_check = GuardedProxy.RareProbes, circuit_breaker = new { recovery_timeout = 60 } });
        for (var failure = 1; failure <= 5; failure++)
        {
            await guarded.SendAsync(service, 1, "status/503");
            (await guarded.Registry.InstanceAsync(service, "a")).Failures().Should().Be(failure, "who leaves is no success");
            if (failure == 5)
                break;
            using var leave = new CancellationTokenSource();
            var request = guarded.Http.GetAsync($"/{service}/hold/k", leave.Token);
            await guarded.Backends[0].UntilHeldAsync("k", 1);
            await leave.CancelAsync();
            await request.Invoking(r => r).Should().ThrowAsync<OperationCanceledException>();
            await guarded.Backends[0].UntilHeldAsync("k", 0);
        }

        (await guarded.Registry.InstanceAsync(service, "a")).Circuit().Should().Be("open");
    }
}
