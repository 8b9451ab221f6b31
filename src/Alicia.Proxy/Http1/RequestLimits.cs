namespace Alicia.Proxy.Http1;

/// <summary>How much a request may bring.</summary>
/// <param name="TargetBytes">Length of the target; beyond it 414.</param>
/// <param name="FieldBytes">All field lines of a head together, line ends included, and again those of the trailers; beyond it 431.</param>
/// <param name="FieldCount">Their number; beyond it 431.</param>
/// <param name="BodyBytes">Length that a head may announce; beyond it 413. Null: any.</param>
internal sealed record RequestLimits(int TargetBytes, int FieldBytes, int FieldCount, long? BodyBytes);
