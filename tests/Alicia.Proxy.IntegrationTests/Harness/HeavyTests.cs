namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>
/// Tests that take a machine's cores for themselves: they run when the others are done, whose bounds in time would otherwise be measured against this load.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class HeavyTests
{
    public const string Name = "heavy";
}
