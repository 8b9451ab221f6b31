using System.Globalization;
using System.Net;
using System.Text;

namespace Alicia.Proxy.Security;

/// <summary>
/// One line for every change that somebody makes, whichever door it came by: who, from where, what, and what came of it. The lines have a category of their own, this class, so
/// that they can be routed and kept on their own. Values that may be secret are left out by those who say what changed; what strangers wrote cannot leave its quotes.
/// </summary>
internal sealed partial class AuditLog(ILogger<AuditLog> logger)
{
    /// <summary>Longest text of one part; the rest is cut off.</summary>
    private const int MaxPart = 512;

    /// <summary>A change over the API.</summary>
    /// <param name="context">The request.</param>
    /// <param name="result">What came of it: <c>done</c>, or <c>refused</c> with the status.</param>
    /// <param name="change">What changed, without secrets; empty when nothing did.</param>
    public void Api(HttpContext context, string result, string change) => LogChange(
        logger,
        Actor(context.Features.Get<Caller>()),
        context.Connection.RemoteIpAddress,
        $"{context.Request.Method} {Quoted(context.Request.Path.Value ?? "")}",
        result,
        Quoted(change),
        context.TraceIdentifier);

    /// <summary>A change by a message on the bus.</summary>
    /// <param name="topic">Where it was published: the broker's access list says who may.</param>
    /// <param name="source">Who it says that it is from, or null. Nobody has checked that.</param>
    /// <param name="result"><c>done</c>, or <c>refused</c> with the reason.</param>
    /// <param name="change">What changed, or was wanted.</param>
    public void Bus(string topic, string? source, string result, string change) =>
        LogBus(logger, Quoted(source ?? "unnamed"), Quoted(topic), result, Quoted(change));

    /// <summary>A change of the configuration that a running proxy has taken.</summary>
    /// <param name="keys">Names of the keys that changed; never values.</param>
    public void Configuration(IReadOnlyList<string> keys) =>
        LogConfiguration(logger, keys.Count, Quoted(string.Join(", ", keys)));

    /// <summary>Text that may stand between double quotes in a line: no quotes, nothing that steers a terminal, not too long.</summary>
    public static string Quoted(string text)
    {
        var clean = new StringBuilder(Math.Min(text.Length, MaxPart));
        foreach (var c in text)
        {
            if (clean.Length >= MaxPart)
                return clean.Append('…').ToString();
            if (c is '"')
                clean.Append('\'');
            else if (char.IsControl(c) || char.GetUnicodeCategory(c) is UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Surrogate)
                clean.Append('?');
            else
                clean.Append(c);
        }

        return clean.ToString();
    }

    private static string Actor(Caller? caller) => caller is null ? "anybody on this machine" : Quoted(caller.Kind switch
    {
        CallerKind.ApiKey => "key " + caller.Name,
        CallerKind.Session => "status page with key " + caller.Name,
        CallerKind.Jwt => "token of " + caller.Name,
        _ => "certificate " + caller.Name,
    });

    [LoggerMessage(1, LogLevel.Information, "\"{Actor}\" from {Address}: \"{Action}\" {Result}: \"{Change}\", request {RequestId}")]
    private static partial void LogChange(ILogger logger, string actor, IPAddress? address, string action, string result, string change, string requestId);

    [LoggerMessage(2, LogLevel.Information, "\"bus sender {Source}\" on \"{Topic}\": {Result}: \"{Change}\"")]
    private static partial void LogBus(ILogger logger, string source, string topic, string result, string change);

    [LoggerMessage(3, LogLevel.Information, "\"configuration\": {Count} keys done: \"{Change}\"")]
    private static partial void LogConfiguration(ILogger logger, int count, string change);
}

/// <summary>Endpoint metadata: a call changes nothing that the audit log is for, whatever its method.</summary>
internal sealed class ChangesNothing
{
    public static readonly ChangesNothing Metadata = new();
}

/// <summary>
/// Request feature on calls that may change something. Whoever makes the change says so at once, before the caller has its answer; a call that ends without a word was refused.
/// </summary>
internal sealed class AuditNote(AuditLog log, HttpContext context)
{
    private bool _said;

    /// <summary>The change is made.</summary>
    /// <param name="context">The request.</param>
    /// <param name="change">What changed, without secrets.</param>
    public static void Done(HttpContext context, string change)
    {
        if (context.Features.Get<AuditNote>() is not { } note)
            return;
        note._said = true;
        note.Log(change);
    }

    /// <summary>The call was in order and changed nothing, such as a registration that repeats itself.</summary>
    public static void Unchanged(HttpContext context)
    {
        if (context.Features.Get<AuditNote>() is { } note)
            note._said = true;
    }

    /// <summary>The call is over.</summary>
    /// <param name="status">Of the answer; 0 when the caller went away before.</param>
    public void Close(int status)
    {
        if (_said)
            return;
        log.Api(context, status switch
        {
            0 => "not known, the caller left before it was",
            < 400 => "done",
            _ => string.Create(CultureInfo.InvariantCulture, $"refused with {status}"),
        }, "");
    }

    private void Log(string change) => log.Api(context, "done", change);
}
