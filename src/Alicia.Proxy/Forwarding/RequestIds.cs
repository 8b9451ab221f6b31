using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Gives each request the id by which callers, instances, logs, traces and problem documents speak of it: the caller's <c>X-Request-Id</c> where that is well-formed, else one
/// made here. It is kept as the request's <see cref="HttpContext.TraceIdentifier"/>.
/// </summary>
/// <param name="random">Ids are told apart by it and are no secret. Called by many threads at once.</param>
internal sealed class RequestIds(Random random)
{
    public const string Field = "X-Request-Id";

    private const int MaxLength = 128;

    /// <summary>As much as a trace id has: two requests with the same one will not be met.</summary>
    private const int RandomBytes = 16;

    private static readonly SearchValues<char> Allowed = SearchValues.Create("-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");

    public static bool IsField(string name) => name.Equals(Field, StringComparison.OrdinalIgnoreCase);

    /// <summary>True for 1 to 128 letters, digits, <c>.</c>, <c>_</c> and <c>-</c>: nothing that means anything in a log, a field or a document.</summary>
    public static bool IsWellFormed([NotNullWhen(true)] string? id) => id is { Length: > 0 and <= MaxLength } && !id.AsSpan().ContainsAnyExcept(Allowed);

    /// <summary>Settles the request's id. An id that came twice or malformed is replaced.</summary>
    public void Assign(HttpContext context) =>
        context.TraceIdentifier = context.Request.Headers.TryGetValue(Field, out var given) && given.Count == 1 && IsWellFormed(given[0]) ? given[0]! : Make();

    /// <summary>A new id: 32 hexadecimal digits.</summary>
    public string Make() => string.Create(RandomBytes * 2, random, static (text, random) =>
    {
        Span<byte> bytes = stackalloc byte[RandomBytes];
        random.NextBytes(bytes);
        Convert.TryToHexStringLower(bytes, text, out _);
    });
}
