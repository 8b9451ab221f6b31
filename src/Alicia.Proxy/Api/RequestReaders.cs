using System.Globalization;
using System.Text.Json;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Documents;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Api;

/// <summary>Reads the API's request documents. What is of the wrong type is noted; what it means is the registry's business.</summary>
internal static class RequestReaders
{
    public static RegistrationRequest Registration(WireObject body)
    {
        var request = RegistrationReader.Read(body);
        body.RejectUnknown();
        return request;
    }

    public static InstancePatch InstancePatch(WireObject body)
    {
        var patch = new InstancePatch(
            body.Patch<int?>("weight", f => body.Integer(f)),
            body.Patch<int?>("max_connections", f => body.Integer(f)),
            body.Patch<IReadOnlyDictionary<string, string?>>("metadata", f => body.Pairs(f, nullRemoves: true)!),
            body.Patch("state", f => body.Text(f)!));
        body.RejectUnknown();
        return patch;
    }

    /// <summary>The body of PUT and PATCH: settings at the top level or under <c>settings</c>, and <c>routes</c>.</summary>
    public static ServiceEdit ServiceEdit(WireObject body)
    {
        var given = SettingOverrides.Empty;
        var cleared = new List<SettingKey>();
        RegistrationReader.ReadSettings(body, SettingKeys.All, 0, ref given, cleared);
        if (body.Object("settings") is { } nested)
        {
            RegistrationReader.ReadSettings(nested, SettingKeys.All, 0, ref given, cleared);
            nested.RejectUnknown();
        }

        var routes = body.Objects("routes")?.Select(Route).ToArray();
        if (routes is null && body.TryTake("routes", out var value) && value.ValueKind == JsonValueKind.Null)
            routes = [];
        body.RejectUnknown();
        return new ServiceEdit(given, cleared, routes);
    }

    /// <summary>The value of <c>?wait=</c> in seconds, 0–300; zero when absent.</summary>
    public static TimeSpan Wait(HttpRequest request, FaultList faults)
    {
        if (!request.Query.TryGetValue("wait", out var text))
            return TimeSpan.Zero;
        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds is >= 0 and <= 300)
            return TimeSpan.FromSeconds(seconds);
        faults.Add("wait", "must be a number of seconds from 0 to 300");
        return TimeSpan.Zero;
    }

    /// <summary>If-Match and If-None-Match as a condition on the service's revision. Weak and foreign tags never match.</summary>
    public static Precondition Precondition(HttpRequest request)
    {
        var ifMatch = request.Headers.IfMatch.ToString();
        var mustNotExist = request.Headers.IfNoneMatch.ToString().Trim() == "*";
        if (ifMatch.Length == 0)
            return new Precondition(null, false, mustNotExist);
        if (ifMatch.Trim() == "*")
            return new Precondition(null, true, mustNotExist);
        var revisions = new List<long>();
        foreach (var tag in ifMatch.Split(',', StringSplitOptions.TrimEntries))
        {
            if (tag is ['"', .. var inner, '"'] && long.TryParse(inner, NumberStyles.None, CultureInfo.InvariantCulture, out var revision))
                revisions.Add(revision);
        }

        return new Precondition(revisions, true, mustNotExist);
    }

    private static RouteRequest Route(WireObject route)
    {
        var request = new RouteRequest(route.Texts("hosts"), route.Text("path"), route.Text("strip_prefix"));
        route.RejectUnknown();
        return request;
    }
}
