namespace Alicia.Proxy.Registry;

/// <summary>How callers read an instance's state, wherever it is shown: documents and events.</summary>
internal static class InstanceStateNames
{
    public static string WireName(this InstanceState state) => state switch
    {
        InstanceState.Pending => "pending",
        InstanceState.Active => "active",
        InstanceState.Draining => "draining",
        _ => throw new ArgumentOutOfRangeException(nameof(state), state, null),
    };
}
