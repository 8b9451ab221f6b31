using Alicia.Proxy.Configuration;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Validation;
using Alicia.Proxy.Security;

namespace Alicia.Proxy.Api;

/// <summary>Listing, showing, creating, changing and deleting services.</summary>
internal static class ServiceEndpoints
{
    public static void MapServices(this IEndpointRouteBuilder api)
    {
        api.MapMethods("/services", ["GET", "HEAD"], List)
            .WithMetadata(new RequiredScope(ApiScopes.Read))
            .WithName("ListServices").WithTags("Services").WithSummary("Lists all services").Produces<ServiceListDocument>();
        api.MapMethods("/services/{service}", ["GET", "HEAD"], Get)
            .WithMetadata(new RequiredScope(ApiScopes.Read))
            .WithName("GetService").WithTags("Services").WithSummary("Shows a service; the ETag is the revision of settings and routes")
            .Produces<ServiceDocument>().Refuses(404);
        api.MapPut("/services/{service}", (string service, HttpContext context, RegistryAccess access) => ChangeAsync(service, context, access, replace: true))
            .WithMetadata(new RequiredScope(ApiScopes.Admin))
            .WithName("PutService").WithTags("Services").WithSummary("Creates a service or replaces its settings and routes")
            .Accepts<ServiceEditDocument>("application/json").Produces<ServiceDocument>(200).Produces<ServiceDocument>(201).Refuses(400, 409, 412, 413, 415, 503);
        api.MapPatch("/services/{service}", (string service, HttpContext context, RegistryAccess access) => ChangeAsync(service, context, access, replace: false))
            .WithMetadata(new RequiredScope(ApiScopes.Admin))
            .WithName("PatchService").WithTags("Services").WithSummary("Changes some settings or the routes (RFC 7396); null takes a setting away")
            .Accepts<ServiceEditDocument>("application/json").Produces<ServiceDocument>().Refuses(400, 404, 409, 412, 413, 415, 503);
        api.MapDelete("/services/{service}", DeleteAsync)
            .WithMetadata(new RequiredScope(ApiScopes.Admin))
            .WithName("DeleteService").WithTags("Services").WithSummary("Drains every instance, then removes the service")
            .Produces<RemovalDocument>(200).Produces<RemovalDocument>(202).Refuses(400, 404, 409, 412, 503);
    }

    private static IResult List(HttpContext context, RegistryAccess access) =>
        Results.Json(
            new ServiceListDocument(access.Registry.Snapshot.Services
                .Where(s => VisibleServices.Shows(context, s.Key))
                .OrderBy(s => s.Key, StringComparer.Ordinal)
                .ToDictionary(s => s.Key, s => ServiceDocument.Of(s.Value, access.Lives, access.Gates, access.Clock), StringComparer.Ordinal)),
            Wire.Json);

    private static IResult Get(string service, HttpContext context, RegistryAccess access) =>
        access.Registry.Snapshot.TryGet(service, out var found) ? Show(found, context, access, 200) : Problems.Of(Rejection.UnknownService(service));

    private static async Task<IResult> ChangeAsync(string service, HttpContext context, RegistryAccess access, bool replace)
    {
        var (body, problem) = await WireBody.ReadAsync(context);
        if (body is null)
            return problem!;
        var edit = RequestReaders.ServiceEdit(body);
        if (body.Faults.Any)
        {
            if (!Names.IsService(service))
                body.Faults.Add("service_name", "must be " + Names.ServiceRule);
            // What could be read is held against the rules too, so that one reply names everything.
            RouteRules.Validate(edit.Routes ?? [], "routes", body.Faults);
            return Problems.Invalid(body.Faults);
        }

        // Profiles are shared: whoever may speak for one service must not have the proxy show its own instances what is meant for another's.
        if (VisibleServices.AreSome(context) && edit.Settings.Keys.Concat(edit.Cleared).Any(key => key.ConfigSegments[0] == "Tls"))
            return Problems.Of(StatusCodes.Status403Forbidden, "Credentials that are good for some services only may not change how TLS is done with instances (tls).");
        var change = new ChangeService(service, edit, replace, RequestReaders.Precondition(context.Request));
        var result = await access.ChangeAsync(change, context.RequestAborted);
        if (result.Value is not { } changed)
            return Problems.Of(result.Rejection!);
        AuditNote.Done(context, (changed.Created ? "created: " : replace ? "replaced: " : "") + Changes.Of(edit));
        if (changed.Created)
            context.Response.Headers.Location = $"/services/{service}";
        return Show(changed.Service, context, access, changed.Created ? StatusCodes.Status201Created : StatusCodes.Status200OK);
    }

    private static async Task<IResult> DeleteAsync(string service, HttpContext context, RegistryAccess access)
    {
        var faults = new FaultList();
        var wait = RequestReaders.Wait(context.Request, faults);
        if (faults.Any)
            return Problems.Invalid(faults);
        var result = await access.ChangeAsync(new RemoveService(service, RequestReaders.Precondition(context.Request)), context.RequestAborted);
        if (result.Value is not { } leaving)
            return Problems.Of(result.Rejection!);
        AuditNote.Done(context, $"service removed with {leaving.Instances.Length} instances");
        return RemovalDocument.Result(await access.AwaitDepartureAsync([.. leaving.Instances.Select(i => i.Epoch)], wait, context.RequestAborted));
    }

    private static IResult Show(Service service, HttpContext context, RegistryAccess access, int status)
    {
        context.Response.Headers.ETag = $"\"{service.Revision}\"";
        return Results.Json(ServiceDocument.Of(service, access.Lives, access.Gates, access.Clock), Wire.Json, statusCode: status);
    }
}

/// <summary>All services by name.</summary>
internal sealed record ServiceListDocument(IReadOnlyDictionary<string, ServiceDocument> Services);
