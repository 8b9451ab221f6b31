namespace Alicia.Proxy.Backend;

/// <summary>What is imposed on requests whatever they ask for; nothing by default.</summary>
/// <param name="Status">Answer this, 200–599.</param>
/// <param name="DelayMs">Wait this many milliseconds first.</param>
/// <param name="Hang">Never answer.</param>
internal record Imposed(int? Status = null, int? DelayMs = null, bool Hang = false);

/// <summary>The document of <c>POST /control/mode</c>: its own fields are for data requests, <see cref="Health"/> for
/// <c>/health</c>.</summary>
internal sealed record Mode(int? Status = null, int? DelayMs = null, bool Hang = false, HealthMode? Health = null) : Imposed(Status, DelayMs, Hang);

/// <summary>What is imposed on probes; <c>Body</c> is answered with the status, or with 200.</summary>
internal sealed record HealthMode(int? Status = null, int? DelayMs = null, bool Hang = false, string? Body = null) : Imposed(Status, DelayMs, Hang);

/// <summary>The mode that holds now.</summary>
internal sealed class ModeBoard
{
    private volatile Mode _current = new();

    public Mode Current
    {
        get => _current;
        set => _current = value;
    }
}
