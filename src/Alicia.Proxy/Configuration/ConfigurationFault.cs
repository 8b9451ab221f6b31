namespace Alicia.Proxy.Configuration;

/// <summary>One thing that is wrong with the configuration.</summary>
/// <param name="Key">Full key such as <c>Services:tts:Algorithm</c>, or the file or argument that could not be read.</param>
/// <param name="Message">The rule and what was given instead; never a secret.</param>
internal sealed record ConfigurationFault(string Key, string Message)
{
    public override string ToString() => $"{Key}: {Message}";
}
