namespace Alicia.Proxy.Connections;

/// <summary>
/// A request failed before an instance could have begun on it: no byte of it went out, or the transport proves that nothing was processed. Whatever its method, it may go to another
/// instance.
/// </summary>
internal abstract class UnsentException(string message, Exception? inner) : Exception(message, inner);
