using System.Globalization;

namespace Alicia.Proxy.Benchmarks;

/// <summary>A verb's arguments are not what it takes.</summary>
internal sealed class UsageException(string message) : Exception(message);

/// <summary>The options of one verb, each <c>--name value</c>; some may come several times.</summary>
internal sealed class VerbOptions
{
    private readonly List<(string Name, string Value)> _given = [];

    /// <param name="verb">The verb, for the report.</param>
    /// <param name="args">What followed it.</param>
    /// <param name="names">Names that it takes, without dashes; <c>report</c> always is one.</param>
    /// <exception cref="UsageException">A name that it does not take, or one without a value.</exception>
    public VerbOptions(string verb, IReadOnlyList<string> args, params string[] names)
    {
        // A script that wraps this says what it was itself called with.
        CommandLine = Environment.GetEnvironmentVariable("ALICIA_BENCH_COMMAND") ?? string.Join(' ', ["dotnet run -c Release --project tests/Alicia.Proxy.Benchmarks --", verb, .. args.Select(Quote)]);
        for (var i = 0; i < args.Count; i += 2)
        {
            var name = args[i].StartsWith("--", StringComparison.Ordinal) ? args[i][2..] : "";
            if (name != "report" && !names.Contains(name))
                throw new UsageException($"{verb} does not take '{args[i]}'");
            if (i + 1 == args.Count)
                throw new UsageException($"{args[i]} wants a value");
            _given.Add((name, args[i + 1]));
        }
    }

    /// <summary>How to repeat the run from the top directory.</summary>
    public string CommandLine { get; }

    public string? Report => Text("report");

    /// <summary>The last value given, or null.</summary>
    public string? Text(string name) => All(name).LastOrDefault();

    public IReadOnlyList<string> All(string name) => [.. _given.Where(g => g.Name == name).Select(g => g.Value)];

    /// <exception cref="UsageException">Not a whole number from <paramref name="min"/> to <paramref name="max"/>.</exception>
    public int Number(string name, int fallback, int min, int max) => Text(name) is { } text ? Parse(name, text, min, max) : fallback;

    /// <summary>Several numbers with commas between.</summary>
    /// <exception cref="UsageException">One of them is not a whole number in range.</exception>
    public IReadOnlyList<int> Numbers(string name, IReadOnlyList<int> fallback, int min, int max) =>
        Text(name) is { } text ? [.. text.Split(',').Select(t => Parse(name, t, min, max))] : fallback;

    private static int Parse(string name, string text, int min, int max) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max
            ? number
            : throw new UsageException($"--{name} wants a whole number from {min} to {max}, not '{text}'");

    private static string Quote(string argument) => argument.Any(c => c is ' ' or ';' or '*') ? $"'{argument}'" : argument;
}
