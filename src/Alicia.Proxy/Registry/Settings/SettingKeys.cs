using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace Alicia.Proxy.Registry.Settings;

/// <summary>
/// The list of per-service settings with their defaults and ranges: the single source for <c>Defaults:</c> and <c>Services:{name}:</c> in
/// configuration, for <c>settings</c> in the REST API, and for the JSON schema.
/// </summary>
internal static partial class SettingKeys
{
    private static readonly List<SettingKey> Declared = [];
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(10);

    public static readonly SettingKey<string> Algorithm = Add("Algorithm", "round_robin",
        new ChoiceCodec("round_robin", "least_connections", "weighted_round_robin", "random", "power_of_two_choices", "peak_ewma", "consistent_hash"),
        "How an instance is picked for a request.");

    public static readonly SettingKey<string> HashBy = Add("Hash:By", "address", new ChoiceCodec("address", "field", "cookie", "path"),
        "What consistent_hash keeps requests together by: the caller's address, the field or cookie called Hash:Name, or the path without its query.");

    public static readonly SettingKey<string?> HashName = Add("Hash:Name", (string?)null,
        new TextCodec(TokenPattern(), 128, "the name of a field or cookie of at most 128 characters, or none", optional: true), "Field or cookie that Hash:By means.");

    public static readonly SettingKey<int> HashBoundPercent = Add("Hash:BoundPercent", 125, new IntegerCodec(101, 10000),
        "How much of its fair share of the requests in flight an instance may have before a key's next choice serves, in percent.");

    public static readonly SettingKey<string?> AffinityCookie = Add("Affinity:Cookie", (string?)null,
        new TextCodec(TokenPattern(), 128, "the name of a cookie of at most 128 characters, or none", optional: true),
        "Cookie that keeps a caller with one instance. None: off.");

    public static readonly SettingKey<TimeSpan?> AffinityLifetime = Add("Affinity:Lifetime", (TimeSpan?)null, new OptionalDurationCodec(Second, 365 * Day),
        "How long callers keep the cookie. None: until their browser is closed.");

    public static readonly SettingKey<string> AffinitySecure = Add("Affinity:Secure", "auto", new ChoiceCodec("auto", "always", "never"),
        "Whether the cookie goes over TLS only: auto does as the request came.");

    public static readonly SettingKey<string> AffinitySameSite = Add("Affinity:SameSite", "lax", new ChoiceCodec("lax", "strict", "none"),
        "Whether the cookie comes along from other sites; none needs Affinity:Secure to be always.");

    public static readonly SettingKey<int> MaxConnections = Add("MaxConnections", 100, new IntegerCodec(1, 100000),
        "Requests in flight to one instance at once, unless the instance says otherwise.");

    public static readonly SettingKey<TimeSpan?> Ttl = Add("Ttl", (TimeSpan?)null, new OptionalDurationCodec(5 * Second, Day),
        "Lease of a registration that names none; an instance that does not renew it leaves. None: no lease.");

    public static readonly SettingKey<string> HostHeader = Add("HostHeader", "original", new ChoiceCodec("original", "instance"),
        "The Host that the instance sees: the caller's, or the instance's own host and port.");

    public static readonly SettingKey<bool> HealthCheckEnabled = Add("HealthCheck:Enabled", true, new BooleanCodec(),
        "Whether instances are probed.");

    public static readonly SettingKey<string> HealthCheckType = Add("HealthCheck:Type", "http", new ChoiceCodec("http", "tcp", "grpc"),
        "What a probe does.");

    public static readonly SettingKey<string?> HealthCheckPath = Add("HealthCheck:Path", (string?)"/health",
        new TextCodec(TargetPattern(), 512, "a path that starts with / and has no spaces, at most 512 characters"), "Target of an HTTP probe.");

    public static readonly SettingKey<string> HealthCheckStatus = Add("HealthCheck:Status", "200-399", new StatusRangesCodec(),
        "Statuses that mean alive. On the default path 404, 405 and 501 do too: there is no health endpoint.");

    public static readonly SettingKey<string?> HealthCheckBody = Add("HealthCheck:Body", (string?)null,
        new TextCodec(AnyPattern(), 256, "text of at most 256 characters, or none", optional: true), "Text that the probe's answer must contain.");

    public static readonly SettingKey<string?> HealthCheckHost = Add("HealthCheck:Host", (string?)null,
        new TextCodec(HostPattern(), 260, "a host, with or without a port, or none", optional: true), "Host field of the probe.");

    public static readonly SettingKey<TimeSpan> HealthCheckInterval = Add("HealthCheck:Interval", 30 * Second,
        new DurationCodec(TimeSpan.FromMilliseconds(100), Day), "Time between probes of an instance in a settled state.");

    public static readonly SettingKey<TimeSpan> HealthCheckTimeout = Add("HealthCheck:Timeout", 5 * Second, new DurationCodec(Tick, Hour),
        "How long a probe may take; at most Interval.");

    public static readonly SettingKey<TimeSpan> HealthCheckFast = Add("HealthCheck:Fast", 2 * Second, new DurationCodec(Tick, Hour),
        "Time between probes while an instance is between states; at most Interval.");

    public static readonly SettingKey<int> HealthCheckRise = Add("HealthCheck:Rise", 2, new IntegerCodec(1, 100),
        "Probes in a row that must pass before an unhealthy instance is healthy.");

    public static readonly SettingKey<int> HealthCheckFall = Add("HealthCheck:Fall", 3, new IntegerCodec(1, 100),
        "Probes in a row that must fail before a healthy instance is unhealthy.");

    public static readonly SettingKey<int> CircuitFailureThreshold = Add("CircuitBreaker:FailureThreshold", 5, new IntegerCodec(1, 10000),
        "Failures in a row that open an instance's circuit.");

    public static readonly SettingKey<TimeSpan> CircuitRecoveryTimeout = Add("CircuitBreaker:RecoveryTimeout", 60 * Second,
        new DurationCodec(TimeSpan.FromMilliseconds(100), Hour),
        "How long an open circuit stays open before it admits a trial; doubles per trip in a row up to 00:05:00.");

    public static readonly SettingKey<IReadOnlyList<int>> CircuitFailureStatuses = Add("CircuitBreaker:FailureStatuses",
        (IReadOnlyList<int>)[500, 502, 503, 504], new StatusListCodec(), "Statuses of an instance that count as failures.");

    public static readonly SettingKey<int> CircuitSuccessThreshold = Add("CircuitBreaker:SuccessThreshold", 3, new IntegerCodec(1, 100),
        "Trials in a row that must succeed before a half-open circuit closes.");

    public static readonly SettingKey<int> MaxEjectionPercent = Add("MaxEjectionPercent", 100, new IntegerCodec(0, 100),
        "Share of a service's instances that circuits may take out; beyond it a circuit stays closed and is counted.");

    public static readonly SettingKey<TimeSpan> EjectionInterval = Add("Ejection:Interval", 10 * Second, new DurationCodec(Second, Hour),
        "How often instances are compared with each other, and over which time.");

    public static readonly SettingKey<bool> EjectionSuccessRate = Add("Ejection:SuccessRate:Enabled", false, new BooleanCodec(),
        "Whether an instance that fails far more often than its peers trips its circuit.");

    public static readonly SettingKey<double> EjectionSuccessRateStdevFactor = Add("Ejection:SuccessRate:StdevFactor", 1.9, new DecimalCodec(0.1, 100),
        "Standard deviations below the mean from which a success rate is an outlier.");

    public static readonly SettingKey<int> EjectionSuccessRateMinimumHosts = Add("Ejection:SuccessRate:MinimumHosts", 5, new IntegerCodec(3, 10000),
        "Instances with MinimumRequests that it takes to compare success rates.");

    public static readonly SettingKey<int> EjectionSuccessRateMinimumRequests = Add("Ejection:SuccessRate:MinimumRequests", 100, new IntegerCodec(1, 1000000),
        "Requests of an instance within the interval from which its success rate counts.");

    public static readonly SettingKey<bool> EjectionLatency = Add("Ejection:Latency:Enabled", false, new BooleanCodec(),
        "Whether an instance that answers far slower than its peers trips its circuit.");

    public static readonly SettingKey<double> EjectionLatencyStdevFactor = Add("Ejection:Latency:StdevFactor", 1.9, new DecimalCodec(0.1, 100),
        "Standard deviations above the mean from which a mean response time is an outlier.");

    public static readonly SettingKey<int> EjectionLatencyMinimumHosts = Add("Ejection:Latency:MinimumHosts", 5, new IntegerCodec(3, 10000),
        "Instances with MinimumRequests that it takes to compare response times.");

    public static readonly SettingKey<int> EjectionLatencyMinimumRequests = Add("Ejection:Latency:MinimumRequests", 100, new IntegerCodec(1, 1000000),
        "Answers of an instance within the interval from which its mean response time counts.");

    public static readonly SettingKey<TimeSpan> ConnectTimeout = Add("Timeouts:Connect", 5 * Second, new DurationCodec(Tick, Hour),
        "How long a connection to an instance may take to open, name resolution and TLS included.");

    public static readonly SettingKey<TimeSpan> ResponseTimeout = Add("Timeouts:Response", 100 * Second, new DurationCodec(Tick, Day),
        "How long an instance may take from the last request byte to its response head.");

    public static readonly SettingKey<TimeSpan> IdleTimeout = Add("Timeouts:Idle", 100 * Second, new DurationCodec(Tick, Day),
        "How long a body may be silent.");

    public static readonly SettingKey<TimeSpan> WebSocketIdle = Add("Timeouts:WebSocketIdle", Hour, new DurationCodec(Tick, Day),
        "How long an upgraded connection, such as a WebSocket, may be silent in both directions.");

    public static readonly SettingKey<TimeSpan> EventStreamIdle = Add("Timeouts:EventStreamIdle", Hour, new DurationCodec(Tick, Day),
        "How long an answer of server-sent events may be silent. Where Accept did not ask for such: at most the longer of Idle and Response.");

    public static readonly SettingKey<TimeSpan?> OverallTimeout = Add("Timeouts:Overall", (TimeSpan?)null, new OptionalDurationCodec(Tick, Day),
        "How long a request may take in all, with its waiting and all its tries. None: no limit.");

    public static readonly SettingKey<int> QueueLength = Add("Queue:Length", 0, new IntegerCodec(0, 100000),
        "Requests that may wait while every instance is at its cap; 0 is off.");

    public static readonly SettingKey<TimeSpan> QueueTimeout = Add("Queue:Timeout", 5 * Second, new DurationCodec(Tick, Hour),
        "How long a request may wait in the queue.");

    public static readonly SettingKey<int> RetryAttempts = Add("Retry:Attempts", 1, new IntegerCodec(0, 10), "Tries after the first; 0 is off.");

    public static readonly SettingKey<int> RetryBudgetPercent = Add("Retry:BudgetPercent", 20, new IntegerCodec(0, 100),
        "Retries allowed as a share of requests.");

    public static readonly SettingKey<int> RetryReserve = Add("Retry:Reserve", 10, new IntegerCodec(0, 10000),
        "Retries a second that are allowed whatever the budget.");

    public static readonly SettingKey<IReadOnlyList<int>> RetryStatuses = Add("Retry:Statuses", (IReadOnlyList<int>)[502, 503, 504],
        new StatusListCodec(), "Statuses of an instance that may be retried on another.");

    public static readonly SettingKey<TimeSpan?> RetryPerTry = Add("Retry:PerTry", (TimeSpan?)null, new OptionalDurationCodec(Tick, Day),
        "How long one try may take to its response head. None: Timeouts:Response.");

    public static readonly SettingKey<int> RetryBufferBytes = Add("Retry:BufferBytes", 65536, new IntegerCodec(0, 16 * 1024 * 1024),
        "Largest request body that is kept so that it can be sent again.");

    public static readonly SettingKey<TimeSpan?> SlowStart = Add("SlowStart", (TimeSpan?)null, new OptionalDurationCodec(Second, Hour),
        "Time over which a new or recovered instance's share and cap grow to full. None: at once.");

    public static readonly SettingKey<string?> TlsProfile = Add("Tls:Profile", (string?)null,
        new TextCodec(ProfilePattern(), 64, "a name of 1 to 64 letters, digits, _, . and - that stands below Tls:Instances, or none", optional: true),
        "Whom to trust and what to show where instances are reached over TLS: a name below Tls:Instances. None: the system's authorities, and no certificate.");

    public static readonly SettingKey<string?> TlsServerName = Add("Tls:ServerName", (string?)null,
        new TextCodec(ServerNamePattern(), 253, "a DNS name, or none", optional: true),
        "Name that instances' certificates must be for. None: the host that the instance is registered with.");

    public static readonly SettingKey<TimeSpan> DrainTimeout = Add("Drain:Timeout", 30 * Second, new DurationCodec(TimeSpan.Zero, Day),
        "How long a removed instance stays listed while its requests finish.");

    public static readonly SettingKey<int> RateLimitPerSecond = Add("RateLimit:RequestsPerSecond", 0, new IntegerCodec(0, 1_000_000),
        "Requests that are let through in a second on average; 0 is off.");

    public static readonly SettingKey<int> RateLimitBurst = Add("RateLimit:Burst", 0, new IntegerCodec(0, 1_000_000),
        "Requests that may come at once after a pause; 0: as many as in a second.");

    public static readonly SettingKey<string> RateLimitBy = Add("RateLimit:By", "service", new ChoiceCodec("service", "client", "field"),
        "Who has a limit of their own: the service as a whole, each caller's address, or each value of RateLimit:Field.");

    public static readonly SettingKey<string?> RateLimitField = Add("RateLimit:Field", (string?)null,
        new TextCodec(FieldPattern(), 128, "the name of a request field, or none", optional: true), "Request field that tells callers apart, such as X-Api-Key.");

    public static readonly SettingKey<ImmutableSortedDictionary<string, string>?> RequestFieldsSet =
        Add("Fields:Request:Set", (ImmutableSortedDictionary<string, string>?)null, new FieldValuesCodec(), "Fields that the instance gets in place of the caller's. Values are not shown.");

    public static readonly SettingKey<ImmutableSortedDictionary<string, string>?> RequestFieldsAdd =
        Add("Fields:Request:Add", (ImmutableSortedDictionary<string, string>?)null, new FieldValuesCodec(), "Fields that the instance gets beside the caller's. Values are not shown.");

    public static readonly SettingKey<IReadOnlyList<string>?> RequestFieldsRemove =
        Add("Fields:Request:Remove", (IReadOnlyList<string>?)null, new FieldNamesCodec(), "Fields of the caller that the instance does not get.");

    public static readonly SettingKey<ImmutableSortedDictionary<string, string>?> ResponseFieldsSet =
        Add("Fields:Response:Set", (ImmutableSortedDictionary<string, string>?)null, new FieldValuesCodec(), "Fields that the caller gets in place of the instance's. Values are not shown.");

    public static readonly SettingKey<ImmutableSortedDictionary<string, string>?> ResponseFieldsAdd =
        Add("Fields:Response:Add", (ImmutableSortedDictionary<string, string>?)null, new FieldValuesCodec(), "Fields that the caller gets beside the instance's. Values are not shown.");

    public static readonly SettingKey<IReadOnlyList<string>?> ResponseFieldsRemove =
        Add("Fields:Response:Remove", (IReadOnlyList<string>?)null, new FieldNamesCodec(), "Fields of the instance that the caller does not get.");

    /// <summary>Every key, in the order of the reference page.</summary>
    public static IReadOnlyList<SettingKey> All => Declared;

    /// <summary>The keys that one registration may set for its own probes.</summary>
    public static IEnumerable<SettingKey> HealthCheck => Declared.Where(key => key.ConfigSegments[0] == "HealthCheck");

    private static SettingKey<T> Add<T>(string configPath, T defaultValue, SettingCodec<T> codec, string purpose)
    {
        var key = new SettingKey<T>(Declared.Count, configPath, defaultValue, codec, purpose);
        Declared.Add(key);
        return key;
    }

    [GeneratedRegex(@"^[A-Za-z0-9_.-]{1,64}\z", RegexOptions.CultureInvariant)]
    private static partial Regex ProfilePattern();

    [GeneratedRegex(@"^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex ServerNamePattern();

    [GeneratedRegex(@"^/[\x21-\x7e]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex TargetPattern();

    [GeneratedRegex(@"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex TokenPattern();

    [GeneratedRegex(@"^[^\x00-\x08\x0e-\x1f]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex AnyPattern();

    [GeneratedRegex(@"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\z", RegexOptions.CultureInvariant)]
    private static partial Regex HostPattern();

    [GeneratedRegex(@"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex FieldPattern();
}
