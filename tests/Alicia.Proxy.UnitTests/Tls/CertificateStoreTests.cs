using System.Collections.Concurrent;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Tls;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Tls;

public sealed class CertificateStoreTests : IDisposable, ILogger<CertificateStore>
{
    private readonly TestCertificates _files = new();
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);
    private readonly ConcurrentQueue<(LogLevel Level, string Text)> _log = new();
    private readonly List<string> _profilesChanged = [];
    private readonly CertificateStore _store;

    public CertificateStoreTests()
    {
        _store = new CertificateStore(_time, this) { ProfileChanged = _profilesChanged.Add };
        _files.Issue("site", ["old.example"], Now.AddDays(90));
        _files.Issue("other", ["other.example"], Now.AddDays(90));
    }

    private DateTimeOffset Now => _time.GetUtcNow();

    public void Dispose()
    {
        _store.Dispose();
        _files.Dispose();
    }

    [Fact]
    public void Changed_files_are_taken_once_two_looks_see_the_same()
    {
        Use(_files.Configured("site"));
        _store.Look();
        _files.Issue("site", ["new.example"], Now.AddDays(180));
        _store.Look();
        Names().Should().Equal("old.example");
        _store.Look();
        _store.Look();

        Names().Should().Equal("new.example");
        (_store.Reloads, _store.Failures).Should().Be((1, 0));
        _log.Should().ContainSingle().Which.Level.Should().Be(LogLevel.Information);
        _store.Ends.Single().Should().Match<CertificateEnd>(e => e.Name == "site" && e.Use == "server" && e.Ends > Now.AddDays(170).UtcDateTime);
    }

    [Fact]
    public void Files_that_cannot_be_used_leave_the_old_certificate_and_are_logged_and_counted_once()
    {
        Use(_files.Configured("site"), _files.Configured("other"));
        var key = File.ReadAllText(_files.Path("site.key"));
        _files.Issue("site", ["new.example"], Now.AddDays(180));
        var newKey = File.ReadAllText(_files.Path("site.key"));
        _files.Write("site.key", key);
        _files.Issue("other", ["renewed.example"], Now.AddDays(180));
        for (var looks = 0; looks < 5; looks++)
            _store.Look();

        Names().Should().Equal("old.example", "renewed.example");
        (_store.Reloads, _store.Failures).Should().Be((1, 1));
        var line = _log.Should().ContainSingle(l => l.Level == LogLevel.Error).Subject.Text;
        line.Should().Contain("Tls:Certificates:site:KeyFile").And.Contain("does not belong");

        _files.Write("site.key", newKey);
        _store.Look();
        _store.Look();
        Names().Should().Equal("new.example", "renewed.example");
    }

    [Fact]
    public void A_file_that_goes_and_comes_back_is_no_disaster()
    {
        Use(_files.Configured("site"));
        var pem = File.ReadAllText(_files.Path("site.pem"));
        File.Delete(_files.Path("site.pem"));
        for (var looks = 0; looks < 3; looks++)
            _store.Look();
        Names().Should().Equal("old.example");
        _store.Failures.Should().Be(1);
        _files.Write("site.pem", pem);
        for (var looks = 0; looks < 3; looks++)
            _store.Look();

        (_store.Reloads, _store.Failures).Should().Be((1, 1));
    }

    [Fact]
    public void A_configuration_with_a_file_at_fault_brings_nothing_and_names_every_fault()
    {
        Use(_files.Configured("site"));
        var (loaded, faults) = CertificateStore.Load(Configuration([_files.Configured("other"), _files.Configured("gone"), _files.Configured("lost")],
            new TlsProfileConfiguration("inside", _files.Path("ca.pem"), null)));

        loaded.Should().BeNull();
        faults.Select(f => f.Key).Should().Equal("Tls:Certificates:gone:CertificateFile", "Tls:Certificates:lost:CertificateFile", "Tls:Instances:inside:CaFile");
        Names().Should().Equal("old.example");
    }

    [Fact]
    public void An_end_that_is_near_is_warned_of_once_and_so_is_the_next()
    {
        Use(_files.Configured("site"));
        _store.Look();
        _log.Should().BeEmpty();
        _time.Advance(TimeSpan.FromDays(77));
        _store.Look();
        _store.Look();
        _log.Should().ContainSingle().Which.Should().Match<(LogLevel Level, string Text)>(l => l.Level == LogLevel.Warning && l.Text.Contains("site") && l.Text.Contains("13 days"));

        _files.Issue("site", ["brief.example"], Now.AddDays(-1));
        _store.Look();
        _store.Look();
        _store.Look();
        _log.Last().Should().Match<(LogLevel Level, string Text)>(l => l.Level == LogLevel.Error && l.Text.Contains("has ended"));
        _log.Should().HaveCount(3);
    }

    [Fact]
    public void Profiles_are_renewed_too_and_an_unknown_one_is_none()
    {
        var profile = new TlsProfileConfiguration("inside", _files.Path("other.pem"), _files.Configured("site").Location);
        _store.Use(CertificateStore.Load(Configuration([], profile)).Loaded!);
        var before = _store.Profile("inside");
        before!.Ends.Should().NotBeNull();
        _store.Profile("outside").Should().BeNull();
        _store.Profile(null).Should().BeSameAs(InstanceProfile.System);

        _files.Issue("other", ["renewed.example"], Now.AddDays(180));
        _store.Look();
        _store.Look();
        _store.Profile("inside").Should().NotBeSameAs(before);
        _profilesChanged.Should().Equal("inside");
        _store.Use(CertificateStore.Load(Configuration([], profile)).Loaded!);
        _profilesChanged.Should().Equal(new[] { "inside" }, "nothing is new in a configuration that says the same");
        _store.Use(CertificateStore.Load(Configuration([], profile with { Client = null })).Loaded!);
        _profilesChanged.Should().Equal("inside", "inside");
        _store.Use(CertificateStore.Load(Configuration([], profile)).Loaded!);
        _store.Ends.Should().ContainSingle().Which.Use.Should().Be("instances");
    }

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;

    bool ILogger.IsEnabled(LogLevel logLevel) => true;

    void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _log.Enqueue((logLevel, formatter(state, exception)));

    private void Use(params TlsCertificateConfiguration[] certificates) => _store.Use(CertificateStore.Load(Configuration(certificates)).Loaded!);

    private IEnumerable<string> Names() => _store.Servers.All.SelectMany(c => c.Names).Order();

    private static TlsConfiguration Configuration(TlsCertificateConfiguration[] certificates, params TlsProfileConfiguration[] profiles) =>
        new([.. certificates], null, false, false, TimeSpan.FromSeconds(10), TimeSpan.FromDays(14), [.. profiles]);
}
