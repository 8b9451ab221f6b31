namespace Alicia.Proxy.Http1;

/// <summary>What is wrong with a request, and with what it is answered. There is one object for each kind: a refusal allocates nothing.</summary>
/// <param name="Status">HTTP status: 400, or the one that the RFC names.</param>
/// <param name="Detail">One sentence for the caller. Repeats nothing of the request.</param>
internal sealed record RequestFault(int Status, string Detail)
{
    public static readonly RequestFault BareLineFeed = Bad("A line ends in a line feed alone.");
    public static readonly RequestFault BareCarriageReturn = Bad("A carriage return stands alone.");
    public static readonly RequestFault ControlCharacter = Bad("A line has a control character.");
    public static readonly RequestFault RequestLine = Bad("The request line is not a method, a target and a version with one blank between them.");
    public static readonly RequestFault Method = Bad("The method has characters that no method may have.");
    public static readonly RequestFault Target = Bad("The target has characters that must be percent-encoded.");
    public static readonly RequestFault Fragment = Bad("The target has a fragment.");
    public static readonly RequestFault TargetForm = Bad("The target is neither a path nor an http or https URL.");
    public static readonly RequestFault Asterisk = Bad("The target '*' is for OPTIONS only.");
    public static readonly RequestFault TargetTooLong = new(StatusCodes.Status414UriTooLong, "The target is too long.");
    public static readonly RequestFault Connect = new(StatusCodes.Status405MethodNotAllowed, "This is a reverse proxy; it opens no tunnels.");
    public static readonly RequestFault VersionForm = Bad("The version is not spelled as HTTP/1.1.");
    public static readonly RequestFault Version = new(StatusCodes.Status505HttpVersionNotsupported, "The version is neither HTTP/1.1 nor HTTP/1.0.");
    public static readonly RequestFault EmptyLines = Bad("More than one empty line stands before the request.");
    public static readonly RequestFault Folded = Bad("A field line begins with a blank.");
    public static readonly RequestFault FieldName = Bad("A field name is empty or has characters that no name may have.");
    public static readonly RequestFault BlankBeforeColon = Bad("A blank stands before a field's colon.");
    public static readonly RequestFault FieldsTooLarge = new(StatusCodes.Status431RequestHeaderFieldsTooLarge, "The fields are too large or too many.");
    public static readonly RequestFault NoHost = Bad("There is no Host field.");
    public static readonly RequestFault SeveralHosts = Bad("There is more than one Host field.");
    public static readonly RequestFault Host = Bad("The Host field is not a host with, perhaps, a port.");
    public static readonly RequestFault HostDiffers = Bad("The Host field names another host than the target.");
    public static readonly RequestFault ContentLength = Bad("The Content-Length field is not one number.");
    public static readonly RequestFault SeveralLengths = Bad("There is more than one Content-Length field.");
    public static readonly RequestFault TransferCoding = Bad("The only transfer coding that is taken is 'chunked', once.");
    public static readonly RequestFault CodingInOldVersion = Bad("HTTP/1.0 has no transfer codings.");
    public static readonly RequestFault LengthAndCoding = Bad("There is both a Content-Length and a Transfer-Encoding.");
    public static readonly RequestFault ConnectionField = Bad("HTTP/2 has no fields that are about a connection.");
    public static readonly RequestFault BodyTooLarge = new(StatusCodes.Status413PayloadTooLarge, "The body is too large.");
    public static readonly RequestFault ChunkSize = Bad("A chunk's size is not one hexadecimal number.");
    public static readonly RequestFault ChunkExtension = Bad("A chunk's extension is malformed or too long.");
    public static readonly RequestFault ChunkEnd = Bad("A chunk is longer than its size says.");
    public static readonly RequestFault TrailerName = Bad("A trailer names a field that frames, routes or authorizes.");
    public static readonly RequestFault Incomplete = Bad("The connection ended within the head of a request.");
    public static readonly RequestFault HeadTimeout = new(StatusCodes.Status408RequestTimeout, "The head of the request did not come in time.");

    private static RequestFault Bad(string detail) => new(StatusCodes.Status400BadRequest, detail);
}
