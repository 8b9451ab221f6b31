using System.Diagnostics;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>A condition did not come true in time; the message names it and the last value seen.</summary>
internal sealed class ConditionNotMetException(string message, Exception? last) : Exception(message, last);

/// <summary>Waits for named conditions, so that no test sleeps for a guessed time.</summary>
internal static class Eventually
{
    private static readonly TimeSpan _pause = TimeSpan.FromMilliseconds(10);

    /// <summary>Polls until <paramref name="holds"/> is true.</summary>
    /// <param name="condition">What is waited for, in words, for the failure message.</param>
    /// <param name="holds">May throw connection failures and time-outs: these count as not yet.</param>
    /// <param name="deadline"><see cref="Deadlines.Wait"/> when left out.</param>
    /// <exception cref="ConditionNotMetException">The deadline passed.</exception>
    public static Task Until(string condition, Func<Task<bool>> holds, TimeSpan? deadline = null) =>
        Until(condition, holds, value => value, deadline);

    /// <inheritdoc cref="Until(string, Func{Task{bool}}, TimeSpan?)"/>
    public static Task Until(string condition, Func<bool> holds, TimeSpan? deadline = null) =>
        Until(condition, () => Task.FromResult(holds()), value => value, deadline);

    /// <summary>Reads a value until <paramref name="holds"/> is true of it.</summary>
    /// <returns>The value that satisfied the condition.</returns>
    /// <inheritdoc cref="Until(string, Func{Task{bool}}, TimeSpan?)"/>
    public static async Task<T> Until<T>(string condition, Func<Task<T>> read, Func<T, bool> holds, TimeSpan? deadline = null)
    {
        var limit = deadline ?? Deadlines.Wait;
        var start = Stopwatch.GetTimestamp();
        var seen = "nothing";
        Exception? last = null;
        do
        {
            try
            {
                // A read that hangs must not outlive the deadline either.
                var left = limit - Stopwatch.GetElapsedTime(start);
                var value = await read().WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero);
                if (holds(value))
                    return value;
                (seen, last) = ($"{value}", null);
            }
            catch (TimeoutException) when (last is null && seen != "nothing")
            {
                // The time was up in the middle of a read: what it saw before says more.
            }
            catch (Exception fault) when (fault is HttpRequestException or IOException or OperationCanceledException or TimeoutException)
            {
                (seen, last) = ($"{fault.GetType().Name}: {fault.Message}", fault);
            }
            await Task.Delay(_pause);
        }
        while (Stopwatch.GetElapsedTime(start) < limit);
        throw new ConditionNotMetException($"not within {limit.TotalSeconds:0.##} s: {condition}; last value: {seen}", last);
    }
}
