using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text.Json;
using Alicia.Proxy.Bus;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Events;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Security;
using Alicia.Proxy.Storage;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Bus;

/// <summary>The bus's parts over a real registry, without a broker: messages are handed in, and what would be published is seen.</summary>
internal sealed class House : IAsyncDisposable, ILogger<InboundHandling>
{
    private readonly ConcurrentQueue<string> _lines = [];

    public House()
    {
        Time.SetUtcNow(Messages.Noon);
        Registry = new ServiceRegistry(new MemoryRegistryStore(), Time, NullLogger<ServiceRegistry>.Instance);
        Outgoing = new OutgoingQueue(Counters);
        Clock = new ProcessClock(Time);
        Events = new EventLog(Time);
        var topics = new Topics("alicia");
        Say = new Announcements(topics, new ProxyFacts
        {
            Version = "1.2.3",
            Address = () => ("proxy.house", 8023),
            Status = () => "healthy",
            Stats = () => JsonElement.Parse("""{ "total_requests": 7 }"""),
        }, Lives, new Alicia.Proxy.Circuit.GateTable(), Clock, Counters);
        Publisher = new BusPublisher(Say, Outgoing, Registry, Lives, Events, Time, () => Connected);
        Suspicions = new Suspicions(
            (instance, reason) =>
            {
                // Taken before the test can see the suspicion and set up the next verdict.
                var verdict = Verdict.Task;
                Suspected.Enqueue((instance.InstanceId, reason));
                return verdict;
            },
            instance => Registry.SubmitAsync(new RemoveInstance(instance.ServiceName, instance.InstanceId, DepartureReason.ReportedGone, instance.Epoch), default),
            NullLogger.Instance);
        Handling = new InboundHandling(
            topics,
            new MqttConfiguration
            {
                Root = "alicia",
                Addresses = ImmutableSortedDictionary<string, InstanceAddress>.Empty.Add("tts_service", new InstanceAddress("http", "alicia_tts_service", 8003)),
            },
            Registry, Lives, Suspicions,
            new CommandDesk(Registry, (_, _) => Task.CompletedTask, (sender, payload) => Outgoing.Add(Say.Result(sender, payload))),
            // Names of this house are not known to anybody.
            new AddressScreen(Registry, Time, (_, _) => Task.FromException<System.Net.IPAddress[]>(new System.Net.Sockets.SocketException((int)System.Net.Sockets.SocketError.HostNotFound))),
            new AuditLog(NullLogger<AuditLog>.Instance),
            Counters, new RateLimitedLog(Time), Time, this)
        {
            Asked = Publisher.Asked,
            Renewed = instance => Renewed.Enqueue(instance.InstanceId),
        };
    }

    public FakeTimeProvider Time { get; } = new();

    public ConcurrentQueue<string> Renewed { get; } = [];

    public LiveTable Lives { get; } = new();

    public BusCounters Counters { get; } = new();

    public ServiceRegistry Registry { get; }

    public OutgoingQueue Outgoing { get; }

    public ProcessClock Clock { get; }

    public EventLog Events { get; }

    public Announcements Say { get; }

    public BusPublisher Publisher { get; }

    public Suspicions Suspicions { get; }

    public InboundHandling Handling { get; }

    public bool Connected { get; set; } = true;

    /// <summary>Who was suspected, and of what.</summary>
    public ConcurrentQueue<(string Instance, string Reason)> Suspected { get; } = [];

    /// <summary>What the probe of every suspect will say.</summary>
    public TaskCompletionSource<bool> Verdict { get; set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Warnings and worse.</summary>
    public IReadOnlyCollection<string> Lines => _lines;

    public static async Task<House> OpenAsync()
    {
        var house = new House();
        await house.Registry.LoadAsync(default);
        return house;
    }

    public Task HearAsync(string topic, string text, bool retained = false) => Handling.HandleAsync(Messages.Raw(topic, text, retained), default);

    public Instance? Find(string service, string instance) => Registry.Snapshot.TryGet(service, out var found) ? found.Find(instance) : null;

    /// <summary>What waits to be published, taken out.</summary>
    public async Task<List<OutgoingMessage>> SaidAsync()
    {
        var said = new List<OutgoingMessage>();
        while (Outgoing.Waiting > 0)
            said.Add(await Outgoing.TakeAsync(default));
        return said;
    }

    /// <summary>Waits until a condition holds that another task brings about.</summary>
    public static async Task UntilAsync(string what, Func<bool> holds)
    {
        var deadline = Environment.TickCount64 + 10_000;
        while (!holds())
        {
            if (Environment.TickCount64 > deadline)
                throw new TimeoutException("not in time: " + what);
            await Task.Delay(5);
        }
    }

    public async ValueTask DisposeAsync() => await Registry.DisposeAsync();

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;

    bool ILogger.IsEnabled(LogLevel logLevel) => true;

    void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (logLevel >= LogLevel.Warning)
            _lines.Enqueue(formatter(state, exception));
    }
}
