using System.Globalization;

namespace Alicia.Proxy.Benchmarks.Load;

/// <summary>
/// The proxy in a process that tells what it has allocated, which the program itself does not: one answer for each line of its standard input.
/// </summary>
internal static class CountedProxy
{
    public const string Verb = "counted-proxy";

    /// <summary>Begins the line with the bytes allocated so far.</summary>
    public const string Allocated = "allocated ";

    public static Task<int> RunAsync(string[] args) => Hosting.CommandLine.ServeAsync(args, static (_, _) =>
    {
        new Thread(AnswerLines) { IsBackground = true }.Start();
        return Task.CompletedTask;
    });

    private static void AnswerLines()
    {
        while (Console.In.ReadLine() is not null)
        {
            Console.Out.WriteLine(Allocated + GC.GetTotalAllocatedBytes(precise: true).ToString(CultureInfo.InvariantCulture));
            Console.Out.Flush();
        }
    }
}
