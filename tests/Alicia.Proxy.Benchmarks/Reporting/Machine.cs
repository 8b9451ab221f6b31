using System.Globalization;
using System.Runtime.InteropServices;

namespace Alicia.Proxy.Benchmarks.Reporting;

/// <summary>What the figures were measured on. A figure without its machine says nothing.</summary>
internal sealed record Machine(string Cpu, int Cores, double MemoryGiB, string Os, string Runtime, string Load)
{
    private const string Kernel = "/proc/sys/kernel/osrelease";

    public static Machine Here() => new(
        Line("/proc/cpuinfo", "model name") ?? RuntimeInformation.ProcessArchitecture.ToString(),
        Environment.ProcessorCount,
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1 << 30),
        $"{RuntimeInformation.OSDescription}, kernel {(File.Exists(Kernel) ? File.ReadAllText(Kernel).Trim() : "?")}",
        RuntimeInformation.FrameworkDescription,
        File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "?");

    /// <summary>Type of the file system that holds <paramref name="path"/>: what a commit has to wait for.</summary>
    public static string FileSystemOf(string path) => new DriveInfo(path).DriveFormat;

    public IEnumerable<string> Lines() =>
    [
        $"- machine: {Cpu}, {Cores} cores, {MemoryGiB.ToString("0.#", CultureInfo.InvariantCulture)} GiB",
        $"- system: {Os}",
        $"- runtime: {Runtime}",
        $"- load average of the last minute before the run: {Load}",
    ];

    private static string? Line(string file, string key) => File.Exists(file)
        ? File.ReadLines(file).FirstOrDefault(l => l.StartsWith(key, StringComparison.Ordinal))?.Split(':', 2)[1].Trim()
        : null;
}
