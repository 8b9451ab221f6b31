using System.Text;

namespace Alicia.Proxy.Backend;

/// <summary>
/// A file with a line for each data request, <c>METHOD X-Request-Id</c>, written before anything is done with the request. It outlives a SIGKILL: each line is one write to the kernel.
/// Several lives of an upstream may write to one file.
/// </summary>
internal sealed class Journal(string file) : IDisposable
{
    private readonly FileStream _file = new(file, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
    private readonly Lock _lock = new();

    public void Write(HttpRequest request)
    {
        var line = Encoding.Latin1.GetBytes($"{request.Method} {request.Headers["X-Request-Id"]}\n");
        lock (_lock)
            _file.Write(line);
    }

    public void Dispose() => _file.Dispose();
}
