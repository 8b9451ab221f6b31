namespace Alicia.Proxy.Hosting;

/// <summary>What the program exits with.</summary>
internal static class ExitCodes
{
    public const int Success = 0;

    /// <summary>It could not start or go on for a reason that has no code of its own, such as a port in use.</summary>
    public const int Failure = 1;

    /// <summary>The configuration or the command line is at fault.</summary>
    public const int Configuration = 2;

    /// <summary>The registry's store is damaged, newer than the program, or cannot be opened.</summary>
    public const int Store = 3;
}
