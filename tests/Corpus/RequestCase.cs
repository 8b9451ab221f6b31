namespace Alicia.Proxy.Corpus;

/// <summary>A request, or several, as bytes, and what has to come of it.</summary>
/// <param name="Name">Says what is special about it.</param>
/// <param name="Bytes">Latin-1: one character, one byte. <c>{host}</c> stands for a host that is served.</param>
/// <param name="Status">What the last request is refused with; 0 when all is well.</param>
/// <param name="Bodies">The bodies of the requests that an instance gets, in order: of all of them when all is well, of those before the refused one otherwise.</param>
internal sealed record RequestCase(string Name, string Bytes, int Status, params string[] Bodies)
{
    public override string ToString() => Name;
}
