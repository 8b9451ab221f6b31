using System.Globalization;

namespace Alicia.Proxy.Backend;

/// <summary>The command line: who this upstream is and where it listens.</summary>
/// <param name="Name">Sent back as <c>X-Backend</c>, so that a test sees who answered.</param>
/// <param name="Port">0: any free port.</param>
/// <param name="H2c">HTTP/2 in clear text with prior knowledge, in place of HTTP/1.1.</param>
/// <param name="Journal">File to which every arrival is written; null for none.</param>
internal sealed record Arguments(string Name, int Port, bool H2c, string? Journal)
{
    /// <summary>Null when the line is not understood.</summary>
    public static Arguments? Parse(string[] line)
    {
        string? name = null;
        var port = 0;
        var h2c = false;
        string? journal = null;
        for (var i = 0; i < line.Length; i++)
        {
            switch (line[i])
            {
                case "--name" when i + 1 < line.Length:
                    name = line[++i];
                    break;
                case "--port" when i + 1 < line.Length
                    && ushort.TryParse(line[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out var parsed):
                    port = parsed;
                    i++;
                    break;
                case "--h2c":
                    h2c = true;
                    break;
                case "--journal" when i + 1 < line.Length:
                    journal = line[++i];
                    break;
                default:
                    return null;
            }
        }
        return string.IsNullOrEmpty(name) ? null : new Arguments(name, port, h2c, journal);
    }
}
