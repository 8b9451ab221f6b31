using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Takes the fields of a request to an instance, in the form that whoever sends it needs. A struct behind a type parameter, so that the choice of fields is written once and costs no
/// call through an interface.
/// </summary>
internal interface IFieldSink
{
    /// <summary>Takes the Host field. Called once, and first.</summary>
    void Host(string value);

    /// <summary>Takes a field with all its values.</summary>
    /// <exception cref="BadHttpRequestException">No field may have this name.</exception>
    void Add(string name, StringValues values);
}

/// <summary>Gives the fields of an instance's answer, one after the other.</summary>
internal interface IFieldSource
{
    /// <summary>Gives the next one.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="values">Its values.</param>
    /// <param name="again">True when the answer had this name before; these values go behind those.</param>
    /// <returns>False at the end.</returns>
    bool Next(out string name, out StringValues values, out bool again);
}
