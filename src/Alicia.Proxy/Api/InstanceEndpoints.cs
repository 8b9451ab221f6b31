using Alicia.Proxy.Configuration;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Validation;
using Alicia.Proxy.Security;

namespace Alicia.Proxy.Api;

/// <summary>Registering, renewing, changing and removing instances.</summary>
internal static class InstanceEndpoints
{
    public static void MapInstances(this IEndpointRouteBuilder api)
    {
        api.MapPost("/services/{service}/register", RegisterAsync)
            .WithMetadata(new RequiredScope(ApiScopes.Register))
            .WithName("RegisterInstance").WithTags("Instances").WithSummary("Registers an instance, or renews and updates it")
            .WithDescription("Only host and port are required. Repeating is idempotent; the same id at another address is a new instance. "
                + "When the reply arrives, the registration is durable; the instance takes requests from its first good probe on, for which ?wait=10 waits.")
            .Accepts<RegistrationDocument>("application/json").Produces<InstanceDocument>(201).Produces<InstanceDocument>(200).Refuses(400, 409, 413, 415, 503);
        api.MapPost("/services/{service}/{id}/heartbeat", Heartbeat)
            .WithMetadata(new RequiredScope(ApiScopes.Register), ChangesNothing.Metadata)
            .WithName("Heartbeat").WithTags("Instances").WithSummary("Renews an instance's lease").Produces(204).Refuses(404);
        api.MapMethods("/services/{service}/{id}", ["GET", "HEAD"], Get)
            .WithMetadata(new RequiredScope(ApiScopes.Read))
            .WithName("GetInstance").WithTags("Instances").WithSummary("Shows an instance").Produces<InstanceDocument>().Refuses(404);
        api.MapPatch("/services/{service}/{id}", PatchAsync)
            .WithMetadata(new RequiredScope(ApiScopes.Admin))
            .WithName("PatchInstance").WithTags("Instances").WithSummary("Changes weight, cap, metadata or state (RFC 7396)")
            .WithDescription("weight null gives the registered weight back, max_connections null the service's cap. state is active or draining.")
            .Accepts<InstancePatchDocument>("application/json").Produces<InstanceDocument>().Refuses(400, 404, 409, 413, 415, 503);
        api.MapPost("/services/{service}/{id}/circuit", SetCircuitAsync)
            .WithMetadata(new RequiredScope(ApiScopes.Admin))
            .WithName("SetCircuit").WithTags("Instances").WithSummary("Opens or closes an instance's circuit by hand")
            .Accepts<CircuitRequestDocument>("application/json").Produces<InstanceDocument>().Refuses(400, 404, 413, 415);
        api.MapDelete("/services/{service}/{id}", DeleteAsync)
            .WithMetadata(new RequiredScope(ApiScopes.Register))
            .WithName("DeleteInstance").WithTags("Instances").WithSummary("Removes an instance; what is in flight finishes")
            .WithDescription("200 when nothing is in flight, else 202; ?wait=30 holds the reply until it is empty or the time is over.")
            .Produces<RemovalDocument>(200).Produces<RemovalDocument>(202).Refuses(400, 404, 409, 503);
    }

    private static async Task<IResult> RegisterAsync(string service, HttpContext context, RegistryAccess access, AddressScreen screen)
    {
        var (body, problem) = await WireBody.ReadAsync(context);
        if (body is null)
            return problem!;
        var request = RequestReaders.Registration(body);
        var wait = RequestReaders.Wait(context.Request, body.Faults);
        if (body.Faults.Any)
        {
            if (!Names.IsService(service))
                body.Faults.Add("service_name", "must be " + Names.ServiceRule);
            // What could be read is held against the rules too, so that one reply names everything.
            InstanceRules.Validate(request, access.Registry.Snapshot.Rules, body.Faults);
            return Problems.Invalid(body.Faults);
        }

        if (NewAddress(access.Registry.Snapshot, service, request) is { } address
            && await screen.FaultAsync(address.Host, address.Port, context.RequestAborted) is { } fault)
        {
            body.Faults.Add("host", fault);
            return Problems.Invalid(body.Faults);
        }

        var result = await access.ChangeAsync(new RegisterInstance(service, request, RegistrationSource.Api), context.RequestAborted);
        if (result.Value is not { } registered)
            return Problems.Of(result.Rejection!);
        if (registered.Changed)
            AuditNote.Done(context, $"instance {registered.Instance.InstanceId} {(registered.Created ? "registered" : "updated")} at {registered.Instance.Scheme}://{registered.Instance.Host}:{registered.Instance.Port}");
        else
            AuditNote.Unchanged(context);
        access.RenewLease(registered.Instance);
        if (wait > TimeSpan.Zero)
        {
            await access.Health.SettledAsync(registered.Instance, wait, context.RequestAborted);
            registered = Now(access, registered);
        }
        else if (!registered.Created)
        {
            _ = access.Health.Renewed(registered.Instance);
        }

        var document = InstanceDocument.Of(registered.Service, registered.Instance, access.Lives, access.Gates);
        if (!registered.Created)
            return Results.Json(document, Wire.Json);
        context.Response.Headers.Location = $"/services/{service}/{Uri.EscapeDataString(registered.Instance.InstanceId)}";
        return Results.Json(document, Wire.Json, statusCode: StatusCodes.Status201Created);
    }

    /// <summary>Host and port of a registration that passes the rules and does not just repeat what is there; null otherwise.</summary>
    private static (string Host, int Port)? NewAddress(RegistrySnapshot snapshot, string service, RegistrationRequest request) =>
        InstanceRules.Validate(request, snapshot.Rules, new FaultList()) is not { } valid
            || (snapshot.TryGet(service, out var known) && known.Find(valid.InstanceId) is { Leaving: false } there && there.Host == valid.Host && there.Port == valid.Port)
            ? null
            : (valid.Host, valid.Port);

    /// <summary>The same instance as it is now; as it was, when it has left in the meantime.</summary>
    private static Registered Now(RegistryAccess access, Registered registered)
    {
        if (!access.Registry.Snapshot.TryGet(registered.Service.Name, out var service))
            return registered;
        return service.Instances.FirstOrDefault(i => i.Epoch == registered.Instance.Epoch) is { } instance
            ? registered with { Service = service, Instance = instance }
            : registered;
    }

    private static IResult Heartbeat(string service, string id, RegistryAccess access)
    {
        if (Find(access, service, id, out _, out var instance) is { } problem)
            return problem;
        if (instance.Leaving)
            return Problems.Of(Rejection.UnknownInstance(service, id));
        access.RenewLease(instance);
        return Results.NoContent();
    }

    private static IResult Get(string service, string id, RegistryAccess access) =>
        Find(access, service, id, out var found, out var instance) ?? Results.Json(InstanceDocument.Of(found, instance, access.Lives, access.Gates), Wire.Json);

    private static async Task<IResult> PatchAsync(string service, string id, HttpContext context, RegistryAccess access)
    {
        var (body, problem) = await WireBody.ReadAsync(context);
        if (body is null)
            return problem!;
        var patch = RequestReaders.InstancePatch(body);
        if (body.Faults.Any)
        {
            PatchInstance.Check(patch, body.Faults);
            return Problems.Invalid(body.Faults);
        }

        var result = await access.ChangeAsync(new PatchInstance(service, id, patch), context.RequestAborted);
        if (result.Accepted)
            AuditNote.Done(context, Changes.Of(patch));
        return result.Value is { } patched
            ? Results.Json(InstanceDocument.Of(patched.Service, patched.Instance, access.Lives, access.Gates), Wire.Json)
            : Problems.Of(result.Rejection!);
    }

    private static async Task<IResult> SetCircuitAsync(string service, string id, HttpContext context, RegistryAccess access)
    {
        var (body, problem) = await WireBody.ReadAsync(context);
        if (body is null)
            return problem!;
        var state = body.Text("state");
        body.RejectUnknown();
        if (state is not ("open" or "closed"))
            body.Faults.AddIfNone("state", "must be open or closed");
        if (body.Faults.Any)
            return Problems.Invalid(body.Faults);
        if (Find(access, service, id, out var found, out var instance) is { } unknown)
            return unknown;
        if (access.Gates.TryGet(instance.Epoch, out var gate) && state == "open")
            gate.OpenByHand();
        else
            gate?.CloseByHand();
        AuditNote.Done(context, $"circuit {state} by hand");
        return Results.Json(InstanceDocument.Of(found, instance, access.Lives, access.Gates), Wire.Json);
    }

    private static async Task<IResult> DeleteAsync(string service, string id, HttpContext context, RegistryAccess access)
    {
        var faults = new FaultList();
        var wait = RequestReaders.Wait(context.Request, faults);
        if (faults.Any)
            return Problems.Invalid(faults);
        var result = await access.ChangeAsync(new RemoveInstance(service, id), context.RequestAborted);
        if (result.Value is not { } instance)
            return Problems.Of(result.Rejection!);
        AuditNote.Done(context, $"instance removed, it was at {instance.Scheme}://{instance.Host}:{instance.Port}");
        return RemovalDocument.Result(await access.AwaitDepartureAsync([instance.Epoch], wait, context.RequestAborted));
    }

    private static IResult? Find(RegistryAccess access, string serviceName, string id, out Service service, out Instance instance)
    {
        instance = null!;
        if (!access.Registry.Snapshot.TryGet(serviceName, out service!))
            return Problems.Of(Rejection.UnknownService(serviceName));
        if (service.Find(id) is not { } found)
            return Problems.Of(Rejection.UnknownInstance(serviceName, id));
        instance = found;
        return null;
    }
}
