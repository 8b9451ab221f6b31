using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Direct;

/// <summary>How an exchange ended, in YARP's words, so that it is judged by the same table whoever moved its bytes.</summary>
/// <param name="Error">What went wrong, or <see cref="ForwarderError.None"/>.</param>
/// <param name="Exception">Why.</param>
internal readonly record struct Ending(ForwarderError Error, Exception? Exception)
{
    /// <summary>Not a byte of the request has gone out.</summary>
    public bool NothingSent { get; init; }

    /// <summary>The server has the last bytes of the answer, and has yet to be told to send them.</summary>
    public bool IsUnflushed { get; init; }

    /// <summary>The answer was dropped; the body, if there is one, is another instance's.</summary>
    public bool IsDropped { get; init; }
}
