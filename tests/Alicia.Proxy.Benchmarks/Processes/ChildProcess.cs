using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace Alicia.Proxy.Benchmarks.Processes;

/// <summary>A process that a measurement started: its output, its figures, and its end. Disposing ends it, and only it and its children, by id.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private const int SigTerm = 15;

    /// <summary>Longest wait for a line or for the end.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly Channel<string> _output = Channel.CreateBounded<string>(new BoundedChannelOptions(1000) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly Queue<string> _errors = new();

    private readonly bool _hasWorkers;
    private long _outputLines;

    private ChildProcess(Process process, bool hasWorkers) => (_process, _hasWorkers) = (process, hasWorkers);

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Lines of its output so far.</summary>
    public long OutputLines => Volatile.Read(ref _outputLines);

    /// <param name="file">Program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="environment">Added to this process's own; null removes.</param>
    /// <param name="directory">Working directory, or this process's.</param>
    /// <param name="hasWorkers">It has processes of its own to end, and is asked to rather than killed.</param>
    public static ChildProcess Start(
        string file, IEnumerable<string> arguments, IEnumerable<KeyValuePair<string, string?>>? environment = null, string? directory = null, bool hasWorkers = false)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            WorkingDirectory = directory ?? "",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var (name, value) in environment ?? [])
        {
            if (value is null)
                start.Environment.Remove(name);
            else
                start.Environment[name] = value;
        }

        var process = Process.Start(start) ?? throw new InvalidOperationException($"{file} did not start");
        var child = new ChildProcess(process, hasWorkers);
        process.OutputDataReceived += (_, line) => child.KeepOutput(line.Data);
        process.ErrorDataReceived += (_, line) => child.KeepError(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return child;
    }

    /// <summary>The rest of the next line that begins with <paramref name="prefix"/>; lines before it are dropped.</summary>
    /// <exception cref="InvalidOperationException">It ended, or the time is over; the message holds its last errors.</exception>
    public async Task<string> LineAsync(string prefix, TimeSpan? patience = null)
    {
        using var late = new CancellationTokenSource(patience ?? Patience);
        try
        {
            await foreach (var line in _output.Reader.ReadAllAsync(late.Token))
            {
                if (line.StartsWith(prefix, StringComparison.Ordinal))
                    return line[prefix.Length..];
            }
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            // Told below, with what the process said.
        }

        throw new InvalidOperationException($"no line '{prefix}…' from {_process.StartInfo.FileName} {string.Join(' ', _process.StartInfo.ArgumentList)}\n{LastErrors()}");
    }

    public async Task SendAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>SIGTERM, and waits for the end.</summary>
    public Task TerminateAsync()
    {
        Signal(SigTerm);
        return EndAsync();
    }

    /// <summary>Sends a signal, unless it has ended.</summary>
    public void Signal(int signal)
    {
        // The id is this process's until its end was waited for.
        if (!_process.HasExited && kill(Id, signal) != 0)
            throw new InvalidOperationException($"signal {signal} to {Id}: errno {Marshal.GetLastPInvokeError()}");
    }

    /// <summary>SIGKILL, and waits for the end.</summary>
    public Task KillAsync()
    {
        _process.Kill(entireProcessTree: true);
        return EndAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            await (_hasWorkers ? TerminateAsync() : KillAsync());
        _process.Dispose();
    }

    private async Task EndAsync()
    {
        using var late = new CancellationTokenSource(Patience);
        await _process.WaitForExitAsync(late.Token);
    }

    private void KeepOutput(string? line)
    {
        if (line is null)
        {
            _output.Writer.TryComplete();
            return;
        }

        Interlocked.Increment(ref _outputLines);
        _output.Writer.TryWrite(line);
    }

    private void KeepError(string? line)
    {
        if (line is null)
            return;
        lock (_errors)
        {
            _errors.Enqueue(line);
            if (_errors.Count > 50)
                _errors.Dequeue();
        }
    }

    /// <summary>The end of what it wrote to standard error.</summary>
    public string LastErrors()
    {
        lock (_errors)
            return string.Join('\n', _errors);
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int kill(int id, int signal);
}
