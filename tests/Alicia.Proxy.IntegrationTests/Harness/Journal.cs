namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>
/// What arrived at the backends of a test, by the id of each request, whatever became of the backends: they write it down themselves, before they do anything with a request, and what they have
/// written outlives them.
/// </summary>
internal sealed class Journal : IDisposable
{
    private readonly Lock _lock = new();
    private readonly string _directory = Directory.CreateTempSubdirectory("alicia-journal-").FullName;

    /// <summary>The file of a backend, in all its lives.</summary>
    public string FileOf(string backend) => Path.Combine(_directory, backend);

    /// <summary>For instances inside the test: notes what they have read.</summary>
    public void Note(string instance, WireMessage request)
    {
        lock (_lock)
            File.AppendAllText(FileOf(instance), $"{request.StartLine.Split(' ')[0]} {request.Values("X-Request-Id").Single()}\n");
    }

    /// <returns>How often each request arrived, at all backends together.</returns>
    public Dictionary<string, int> Arrivals() => Arrivals(Directory.GetFiles(_directory));

    /// <returns>How often each request arrived at one instance.</returns>
    public Dictionary<string, int> ArrivalsAt(string instance) => Arrivals(File.Exists(FileOf(instance)) ? [FileOf(instance)] : []);

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static Dictionary<string, int> Arrivals(string[] files)
    {
        var arrivals = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var file in files)
        {
            foreach (var line in File.ReadLines(file))
            {
                var id = line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..];
                arrivals[id] = arrivals.GetValueOrDefault(id) + 1;
            }
        }

        return arrivals;
    }
}
