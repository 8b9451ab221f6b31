using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Security;

/// <summary>Request feature: the key that the caller was recognised by. Without keys in the configuration there is none.</summary>
/// <param name="Key">As configuration has it.</param>
internal sealed record Caller(ApiKey Key);
