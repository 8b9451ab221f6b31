using System.Globalization;
using System.Text.Json.Serialization;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Events;
using Alicia.Proxy.Registry.Validation;
using Alicia.Proxy.Security;
using Microsoft.AspNetCore.Mvc;

namespace Alicia.Proxy.Api;

/// <summary>Following what happens to services and instances, as server-sent events.</summary>
internal static class EventEndpoints
{
    public static void MapEvents(this IEndpointRouteBuilder api) =>
        api.MapMethods("/events", ["GET", "HEAD"], FollowAsync)
            .WithMetadata(new RequiredScope(ApiScopes.Read))
            .WithName("FollowEvents").WithTags("Events").WithSummary("Server-sent events of every registry, health and circuit change")
            .WithDescription("Resumes after the event that Last-Event-ID (or last_event_id) names, within a bounded history; an event of the type reset says that events "
                + "were missed. service narrows it to one service. A reader that does not keep up is cut off.")
            .Produces<EventDocument>(200, "text/event-stream").Refuses(400, 403, 503);

    /// <param name="context">The request.</param>
    /// <param name="streams">Those who follow already.</param>
    /// <param name="guard">Who let the caller in.</param>
    /// <param name="service">Only events of this service.</param>
    /// <param name="resume">Last id that the caller has seen. A client that reconnects by itself sends it, so it wins over the URL, which stays as it was.</param>
    /// <param name="resumeByQuery">The same, for callers that cannot set a header.</param>
    private static async Task<IResult> FollowAsync(HttpContext context, EventStreams streams, ManagementGuard guard, [FromQuery(Name = "service")] string? service,
        [FromHeader(Name = "Last-Event-ID")] string? resume, [FromQuery(Name = "last_event_id")] string? resumeByQuery)
    {
        var faults = new FaultList();
        var after = string.IsNullOrEmpty(resume) ? Id(resumeByQuery, "last_event_id", faults) : Id(resume, "Last-Event-ID", faults);
        if (service is not null && !Names.IsService(service))
            faults.Add("service", "must be " + Names.ServiceRule);
        if (faults.Any)
            return Problems.Invalid(faults);
        if (service is not null && !VisibleServices.Shows(context, service))
            return Problems.Of(StatusCodes.Status403Forbidden, $"The {context.Features.Get<Caller>()?.Credential} is not good for service '{service}'.");

        if (HttpMethods.IsHead(context.Request.Method))
        {
            EventStreams.SetHead(context.Response);
            return Results.Empty;
        }

        using var unknown = new CancellationTokenSource();
        bool Shows(string name)
        {
            // A key that was taken away, or a session that has ended, is told nothing more.
            if (!guard.StillKnows(context))
                unknown.Cancel();
            return !unknown.IsCancellationRequested && (service is null || service == name) && VisibleServices.Shows(context, name);
        }

        return await streams.ServeAsync(context, after, Shows, unknown.Token)
            ? Results.Empty
            : Problems.Of(StatusCodes.Status503ServiceUnavailable, "Too many follow the events, or the proxy is stopping.", retryAfter: 5);
    }

    private static long? Id(string? text, string field, FaultList faults)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id))
            return id;
        faults.Add(field, "must be the id of an event");
        return null;
    }
}

/// <summary>One event. What does not apply is left out.</summary>
/// <param name="Id">Rises from event to event; what <c>Last-Event-ID</c> names.</param>
/// <param name="Timestamp">When it happened.</param>
/// <param name="Type">What happened, such as <c>instance_registered</c>; <c>reset</c> when events were missed.</param>
/// <param name="ServiceName">The service.</param>
/// <param name="InstanceId">The instance, in events of an instance.</param>
/// <param name="Previous">State before.</param>
/// <param name="Current">State now.</param>
/// <param name="Reason">Why, where that is known.</param>
internal sealed record EventDocument(
    long Id,
    DateTimeOffset Timestamp,
    string Type,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? ServiceName = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? InstanceId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Previous = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Current = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Reason = null)
{
    public static EventDocument Of(ProxyEvent happened)
    {
        var what = happened.Happening;
        return new EventDocument(happened.Id, happened.At, Wire.Name(happened.Kind), happened.Service, what.InstanceId, what.Previous, what.Current, what.Reason);
    }

    /// <summary>Tells a follower that it has missed events before those that come now, and must fetch what it knows anew.</summary>
    public static EventDocument Reset(long id, DateTimeOffset now) => new(id, now, "reset", Reason: "events_missed");
}
