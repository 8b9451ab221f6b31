namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>The Debian packages that <c>tests/run</c> found missing and could not install.</summary>
internal static class MissingPackages
{
    /// <summary>Set by <c>tests/run</c>: names, separated by spaces. Unset elsewhere; then nothing is skipped and a missing program fails
    /// its test.</summary>
    public const string Variable = "ALICIA_TESTS_MISSING_PACKAGES";

    public static string? SkipReason(string[] packages)
    {
        var missing = (Environment.GetEnvironmentVariable(Variable) ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string[] needed = [.. packages.Intersect(missing)];
        return needed.Length == 0 ? null : $"missing on this machine: {string.Join(", ", needed)}";
    }
}

/// <summary>A fact that runs programs of the named Debian packages; skipped, and counted as such, where those cannot be had.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NeedsPackageFactAttribute : FactAttribute
{
    public NeedsPackageFactAttribute(params string[] packages) => Skip = MissingPackages.SkipReason(packages);
}

/// <inheritdoc cref="NeedsPackageFactAttribute"/>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NeedsPackageTheoryAttribute : TheoryAttribute
{
    public NeedsPackageTheoryAttribute(params string[] packages) => Skip = MissingPackages.SkipReason(packages);
}
