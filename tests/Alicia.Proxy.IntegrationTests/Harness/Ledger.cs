namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>What became of one request, as its caller saw it.</summary>
/// <param name="Id">Its <c>X-Request-Id</c>; the caller uses each once.</param>
/// <param name="Method">GET or POST.</param>
/// <param name="Status">Of a whole answer; <see cref="NoAnswer"/> when it was cut or did not come; <see cref="Abandoned"/> when the caller left first.</param>
/// <param name="Error">The type in <c>Proxy-Status</c> when the proxy made the answer, else null.</param>
internal sealed record Fate(string Id, string Method, int Status, string? Error)
{
    public const int NoAnswer = 0;
    public const int Abandoned = -1;

    public bool Failed => Status is NoAnswer or >= 400;
}

/// <summary>The callers' side of a load held against the instances' side: no request lost, none sent twice by mistake.</summary>
/// <param name="fates">What became of each request.</param>
/// <param name="arrivals">How often each arrived at an instance.</param>
internal sealed class Ledger(IReadOnlyCollection<Fate> fates, IReadOnlyDictionary<string, int> arrivals)
{
    /// <summary>Failures after which a request may have been at work in an instance; after all others it must not.</summary>
    private static readonly string[] _afterSending = ["connection_terminated", "http_response_timeout"];

    public IReadOnlyCollection<Fate> Fates => fates;

    public IReadOnlyList<Fate> FailedGets { get; } = [.. fates.Where(f => f is { Failed: true, Method: "GET" })];

    public IReadOnlyList<Fate> FailedPosts { get; } = [.. fates.Where(f => f is { Failed: true, Method: "POST" })];

    /// <summary>Requests that arrived more often than once: those that were retried.</summary>
    public int Repeated => fates.Count(f => ArrivalsOf(f) > 1);

    /// <summary>Counts, and the failures by kind.</summary>
    public override string ToString() => string.Concat(
        $"{FailedGets.Count} of {Count("GET")} GETs and {FailedPosts.Count} of {Count("POST")} POSTs failed, {Repeated} arrived more than once",
        string.Concat(fates.Where(f => f.Failed).GroupBy(f => (f.Method, f.Status, f.Error, Arrivals: ArrivalsOf(f))).Select(g => $"\n{g.Count()} × {g.Key}")));

    public int ArrivalsOf(Fate fate) => arrivals.GetValueOrDefault(fate.Id);

    /// <summary>
    /// What holds whatever happens to instances: an answer comes of an arrival, a POST arrives once at most, a GET as often as there are tries, and who is told that nothing was sent can rely on it.
    /// A POST fails only when it may have been at work in an instance.
    /// </summary>
    /// <param name="tries">How often a request may be sent in all.</param>
    public void ShouldBalance(int tries = 2)
    {
        fates.Should().NotBeEmpty();
        Some(f => f is { Failed: false, Status: > 0 } && ArrivalsOf(f) == 0).Should().BeEmpty("an instance answered them");
        Some(f => f.Method == "POST" && ArrivalsOf(f) > 1).Should().BeEmpty("a POST is sent once");
        Some(f => ArrivalsOf(f) > tries).Should().BeEmpty("there are {0} tries", tries);
        Some(f => f is { Failed: true, Method: "POST" } && !_afterSending.Contains(f.Error)).Should().BeEmpty("nothing had been sent of these, so they could go elsewhere");
    }

    /// <summary>The first few that are so: enough to see what went wrong.</summary>
    public IReadOnlyList<Fate> Some(Func<Fate, bool> so) => [.. fates.Where(so).Take(5)];

    private int Count(string method) => fates.Count(f => f.Method == method);
}
