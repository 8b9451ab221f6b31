using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>A process that a test started: its output, its end, and the signals it may be sent. Disposing ends it, and only it, by its
/// id.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    /// <summary>Of each stream the last this many lines are kept.</summary>
    private const int KeptLines = 5000;

    private const int SigInt = 2;
    private const int SigTerm = 15;
    private const int SigCont = 18;
    private const int SigStop = 19;

    /// <summary>
    /// For the .NET programs among them, which live for seconds: not before they have lived for a while does the runtime compile anew, and better, what they use often. On a machine whose
    /// cores are all busy that compiling is a third of what a backend costs in a test.
    /// </summary>
    private static readonly KeyValuePair<string, string?>[] _shortLived = [new("DOTNET_TieredPGO", "0"), new("DOTNET_TC_CallCountingDelayMs", "3E8")];

    private readonly Process _process;
    private readonly Queue<string> _output = [];
    private readonly Queue<string> _errors = [];
    private readonly Lock _lock = new();

    private ChildProcess(Process process, string commandLine)
    {
        _process = process;
        CommandLine = commandLine;
        Id = process.Id;
    }

    public int Id { get; }

    public string CommandLine { get; }

    public bool HasExited => _process.HasExited;

    /// <summary>Null while it runs; 128 + signal when a signal ended it.</summary>
    public int? ExitCode => _process.HasExited ? _process.ExitCode : null;

    /// <summary>Lines of standard output, oldest first.</summary>
    public IReadOnlyList<string> Output => Copy(_output);

    /// <summary>Lines of standard error, oldest first.</summary>
    public IReadOnlyList<string> Errors => Copy(_errors);

    /// <summary>What is known about it, for failure messages.</summary>
    public string Transcript =>
        $"{CommandLine}\nprocess {Id}, {(ExitCode is { } code ? $"ended with exit code {code}" : "running")}\n"
        + $"--- output\n{string.Join('\n', Output)}\n--- errors\n{string.Join('\n', Errors)}";

    /// <summary>Starts <paramref name="file"/>. Its standard input stays open until <see cref="CloseInput"/> or the end of this
    /// process.</summary>
    /// <param name="environment">Added to this process's own; a null value removes.</param>
    public static ChildProcess Start(
        string file,
        IEnumerable<string> arguments,
        string? workingDirectory = null,
        IReadOnlyDictionary<string, string?>? environment = null)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            WorkingDirectory = workingDirectory ?? "",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var (name, value) in _shortLived.Concat(environment ?? new Dictionary<string, string?>()))
        {
            if (value is null)
                start.Environment.Remove(name);
            else
                start.Environment[name] = value;
        }

        var process = Process.Start(start) ?? throw new InvalidOperationException($"{file} did not start");
        var child = new ChildProcess(process, string.Join(' ', [file, .. start.ArgumentList]));
        process.OutputDataReceived += (_, line) => child.Keep(child._output, line.Data);
        process.ErrorDataReceived += (_, line) => child.Keep(child._errors, line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return child;
    }

    /// <summary>Waits for a line of standard output.</summary>
    /// <exception cref="ProcessEndedException">It ended without such a line.</exception>
    /// <exception cref="ConditionNotMetException">The deadline passed; the message holds the transcript.</exception>
    public async Task<string> WaitForLineAsync(Func<string, bool> matches, TimeSpan? deadline = null)
    {
        try
        {
            return (await Eventually.Until(
                "a line of output",
                async () =>
                {
                    var ended = HasExited;
                    if (ended)
                        await _process.WaitForExitAsync();
                    // Looked at after the end was seen, so that a last line is not missed.
                    var line = Output.FirstOrDefault(matches);
                    return line is null && ended
                        ? throw new ProcessEndedException($"ended without the line that was waited for\n{Transcript}")
                        : line;
                },
                line => line is not null,
                deadline ?? Deadlines.Start))!;
        }
        catch (ConditionNotMetException late)
        {
            throw new ConditionNotMetException($"{late.Message}\n{Transcript}", late);
        }
    }

    /// <returns>The exit code, once the output is complete too.</returns>
    /// <exception cref="ConditionNotMetException">It still runs at the deadline (<see cref="Deadlines.Exit"/>).</exception>
    public async Task<int> WaitForExitAsync(TimeSpan? deadline = null)
    {
        var limit = deadline ?? Deadlines.Exit;
        using var late = new CancellationTokenSource(limit);
        try
        {
            await _process.WaitForExitAsync(late.Token);
        }
        catch (OperationCanceledException fault)
        {
            throw new ConditionNotMetException($"not within {limit.TotalSeconds:0.##} s: end of\n{Transcript}", fault);
        }
        return _process.ExitCode;
    }

    /// <summary>SIGKILL: it gets no chance to do anything.</summary>
    public void Kill() => _process.Kill();

    /// <summary>SIGTERM: asks it to end.</summary>
    public void Terminate() => Send(SigTerm);

    /// <summary>SIGINT, as from a terminal: load generators end and say what they have counted.</summary>
    public void Interrupt() => Send(SigInt);

    /// <summary>SIGSTOP: it keeps its sockets, which the kernel still answers for, and does nothing.</summary>
    public void Pause() => Send(SigStop);

    /// <summary>SIGCONT: goes on after <see cref="Pause"/>.</summary>
    public void Resume() => Send(SigCont);

    /// <summary>Writes a line to its standard input.</summary>
    public async Task WriteLineAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>Writes to its standard input.</summary>
    public async Task WriteAsync(string text)
    {
        await _process.StandardInput.WriteAsync(text);
        await _process.StandardInput.FlushAsync();
    }

    public void CloseInput() => _process.StandardInput.Close();

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await WaitForExitAsync();
        }
        _process.Dispose();
    }

    private void Send(int signal)
    {
        // The id is this process's until we have waited for it, which happens with the exit event.
        if (!_process.HasExited && kill(Id, signal) != 0)
            throw new InvalidOperationException($"signal {signal} to {Id}: errno {Marshal.GetLastPInvokeError()}");
    }

    private void Keep(Queue<string> lines, string? line)
    {
        if (line is null)
            return;
        lock (_lock)
        {
            lines.Enqueue(line);
            if (lines.Count > KeptLines)
                lines.Dequeue();
        }
    }

    private string[] Copy(Queue<string> lines)
    {
        lock (_lock)
            return [.. lines];
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int kill(int id, int signal);
}

/// <summary>A process ended before it did what was waited for.</summary>
internal sealed class ProcessEndedException(string message) : Exception(message);
