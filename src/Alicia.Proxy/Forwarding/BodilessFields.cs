using Microsoft.Extensions.Primitives;
using Yarp.ReverseProxy.Transforms;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Adds fields that the HTTP client takes for a body's (Content-Type, Content-Length, Expires…) to a request that has none. They need an empty body to stand on,
/// and YARP refuses any but its own, which only its transforms can make.
/// </summary>
internal sealed class BodilessFields : RequestTransform
{
    private BodilessFields()
    {
    }

    public static void Add(HttpRequestMessage request, string name, StringValues values) =>
        AddHeader(new RequestTransformContext { ProxyRequest = request }, name, values);

    public override ValueTask ApplyAsync(RequestTransformContext context) => throw new NotSupportedException();
}
