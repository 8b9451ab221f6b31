using Alicia.Proxy.Api.StatusPage;
using Alicia.Proxy.Callers;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Security;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;

namespace Alicia.Proxy.Api;

/// <summary>The management listener: guard, endpoints, OpenAPI and docs, and a problem document for everything else.</summary>
internal static partial class ManagementPlane
{
    public static IServiceCollection AddManagement(this IServiceCollection services)
    {
        services.AddAccess();
        services.AddSingleton<RegistryAccess>().AddSingleton<Readiness>().AddSingleton<EventStreams>().AddSingleton<HealthReport>();
        services.ConfigureHttpJsonOptions(options =>
        {
            options.SerializerOptions.PropertyNamingPolicy = Wire.Json.PropertyNamingPolicy;
            options.SerializerOptions.DictionaryKeyPolicy = Wire.Json.DictionaryKeyPolicy;
            // A number in quotes is refused, and the OpenAPI document says so.
            options.SerializerOptions.NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.Strict;
        });
        return services.AddProxyOpenApi();
    }

    public static void UseManagement(this IApplicationBuilder app)
    {
        var logger = app.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger("Alicia.Proxy.Api");
        var guard = app.ApplicationServices.GetRequiredService<ManagementGuard>();
        var audit = app.ApplicationServices.GetRequiredService<AuditLog>();
        var ids = app.ApplicationServices.GetRequiredService<RequestIds>();
        app.Use(next => context =>
        {
            ids.Assign(context);
            context.Response.Headers[RequestIds.Field] = context.TraceIdentifier;
            return next(context);
        });
        var limits = app.ApplicationServices.GetRequiredService<CallerLimits>();
        app.Use(next => context => RefuseMalformedAsync(context, next, limits));
        app.Use(next => context => AnswerFaultsAsync(context, next, logger));
        app.UseRouting();
        app.Use(next => async context =>
        {
            if (await guard.CheckAsync(context, context.GetRouteValue("service") as string) is { } refusal)
            {
                if (refusal.Challenge)
                    context.Response.Headers.WWWAuthenticate = "Bearer realm=\"alicia\"";
                // Of strangers there would be no end; somebody known who may not is worth a line.
                if (refusal.Reason == AccessRefusal.Forbidden && MayChange(context))
                    new AuditNote(audit, context).Close(refusal.Status);
                await Problems.Of(refusal.Status, refusal.Detail, retryAfter: RetryAfter(refusal)).ExecuteAsync(context);
                return;
            }

            if (MayChange(context))
                await AuditAsync(context, next, audit);
            else
                await next(context);
        });
        app.UseDocsPage();
        app.UseEndpoints(endpoints =>
        {
            endpoints.MapInstances();
            endpoints.MapServices();
            endpoints.MapBalance();
            endpoints.MapStats();
            endpoints.MapMetrics();
            endpoints.MapEvents();
            endpoints.MapHealth();
            endpoints.MapSession();
            endpoints.MapStatusPage();
            endpoints.MapProxyOpenApi();
        });
    }

    /// <summary>Marks the error answers of an endpoint in the OpenAPI document.</summary>
    public static RouteHandlerBuilder Refuses(this RouteHandlerBuilder endpoint, params ReadOnlySpan<int> statuses)
    {
        foreach (var status in statuses)
            endpoint.Produces<ProblemDocument>(status, "application/problem+json");
        return endpoint;
    }

    /// <summary>True for a call to an endpoint that changes something when it succeeds.</summary>
    private static bool MayChange(HttpContext context) => !HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method)
        && context.GetEndpoint() is { } endpoint && endpoint.Metadata.GetMetadata<HttpMethodMetadata>() is not null && endpoint.Metadata.GetMetadata<ChangesNothing>() is null;

    private static int? RetryAfter(Refusal refusal) => refusal.Reason switch
    {
        AccessRefusal.TurnedAway => (int)WrongCredentials.Pause.TotalSeconds,
        AccessRefusal.Unverifiable => 5,
        _ => null,
    };

    private static async Task AuditAsync(HttpContext context, RequestDelegate next, AuditLog audit)
    {
        var note = new AuditNote(audit, context);
        context.Features.Set(note);
        var status = StatusCodes.Status500InternalServerError;
        try
        {
            await next(context);
            status = context.Response.StatusCode;
        }
        catch (BadHttpRequestException e)
        {
            status = e.StatusCode;
            throw;
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            status = 0;
            throw;
        }
        finally
        {
            note.Close(status);
        }
    }

    /// <summary>Refuses what is no request by the letter, as the data plane does: here too somebody may stand in front who reads it otherwise, and in-line requests go on to instances.</summary>
    private static Task RefuseMalformedAsync(HttpContext context, RequestDelegate next, CallerLimits limits)
    {
        if (context.Request.Headers.Upgrade.Count > 0)
            CallerGuard.WatchUpgrade(context);
        var target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        var fault = HttpProtocol.IsHttp2(context.Request.Protocol) ? Http2Request.Check(context.Request, target, limits.Current.Requests)
            // Perhaps this stands for a request that the server was not even shown.
            : target == "*" ? context.Features.Get<GuardedInput>()?.Refusal
            : null;
        return fault is null ? next(context) : Problems.Of(fault.Status, fault.Detail).ExecuteAsync(context);
    }

    /// <summary>Gives a body to bare error answers (unknown path, wrong method) and an answer to exceptions.</summary>
    private static async Task AnswerFaultsAsync(HttpContext context, RequestDelegate next, ILogger logger)
    {
        try
        {
            await next(context);
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await Problems.Of(e.StatusCode, e.Message).ExecuteAsync(context);
            return;
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            LogInternal(logger, context.Request.Method, context.Request.Path, context.TraceIdentifier, e);
            await Problems.Of(StatusCodes.Status500InternalServerError, "The proxy failed; its log says why.").ExecuteAsync(context);
            return;
        }

        var response = context.Response;
        // An instance's answer, forwarded in-line, is its own, however bare.
        if (context.GetEndpoint()?.Metadata.GetMetadata<AnyBody>() is not null)
            return;
        if (response.HasStarted || response.StatusCode < 400 || response.ContentLength is not null || !string.IsNullOrEmpty(response.ContentType))
            return;
        await Problems.Of(response.StatusCode, response.StatusCode switch
        {
            StatusCodes.Status404NotFound => $"There is nothing at {context.Request.Path}; /docs lists what there is.",
            StatusCodes.Status405MethodNotAllowed => $"{context.Request.Method} is not allowed here; {response.Headers.Allow} is.",
            var status => ReasonPhrases.GetReasonPhrase(status) + ".",
        }).ExecuteAsync(context);
    }

    [LoggerMessage(LogLevel.Error, "A management request failed: {Method} {Path}, request {RequestId}")]
    private static partial void LogInternal(ILogger logger, string method, string path, string requestId, Exception error);
}
