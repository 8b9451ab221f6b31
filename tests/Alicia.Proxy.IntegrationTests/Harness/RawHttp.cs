using System.Globalization;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>An answer as it came over the wire, undecoded.</summary>
internal sealed record RawAnswer(string Text, RawEnd End)
{
    /// <summary>0 when there is no status line.</summary>
    public int Status =>
        Text.StartsWith("HTTP/1.", StringComparison.Ordinal) && Text.Length >= 12
        && int.TryParse(Text.AsSpan(9, 3), NumberStyles.None, CultureInfo.InvariantCulture, out var status) ? status : 0;

    /// <summary>Up to the first empty line, without it.</summary>
    public string Head => Text.IndexOf("\r\n\r\n", StringComparison.Ordinal) is >= 0 and var at ? Text[..at] : Text;

    /// <summary>What follows the first empty line, with any chunk framing.</summary>
    public string Body => Text.IndexOf("\r\n\r\n", StringComparison.Ordinal) is >= 0 and var at ? Text[(at + 4)..] : "";

    /// <summary>The values of <paramref name="name"/>, in their order; names compare without case.</summary>
    public IReadOnlyList<string> Values(string name) =>
        [.. Head.Split("\r\n").Skip(1)
            .Where(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))
            .Select(line => line[(name.Length + 1)..].Trim())];
}

/// <summary>Sends requests that no HTTP client would send.</summary>
internal static class RawHttp
{
    /// <summary>
    /// Sends the bytes of <paramref name="request"/> (Latin-1) and reads until the other side closes. A well-formed request needs
    /// <c>Connection: close</c>,
    /// otherwise the answer comes back at the deadline, with <see cref="RawEnd.Deadline"/>.
    /// </summary>
    public static async Task<RawAnswer> SendAsync(Uri address, string request, TimeSpan? deadline = null)
    {
        using var connection = await RawConnection.ConnectAsync(address);
        await connection.SendAsync(request);
        var (text, end) = await connection.ReadToEndAsync(deadline);
        return new RawAnswer(text, end);
    }
}
