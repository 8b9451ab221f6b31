using System.Buffers;
using Alicia.Proxy.Connections;

namespace Alicia.Proxy.Forwarding;

/// <summary>How copying one direction ended.</summary>
internal enum CopyEnd
{
    /// <summary>The source said its last byte, and it was written.</summary>
    Finished,
    ReadFailed,
    WriteFailed,

    /// <summary>The other direction ended, or time was up.</summary>
    Cancelled,
}

/// <summary>Ends copying after a silence in both directions, after a time in all, or when the request ends.</summary>
internal sealed class SilenceWatch : IDisposable
{
    private readonly TimeSpan _idle;
    private readonly CancellationTokenSource _silent;
    private readonly CancellationTokenSource? _overall;
    private readonly CancellationTokenSource _any;

    public SilenceWatch(TimeSpan idle, TimeSpan? overall, TimeProvider time, CancellationToken ending)
    {
        _idle = idle;
        _silent = new CancellationTokenSource(idle, time);
        _overall = overall is { } limit ? new CancellationTokenSource(limit, time) : null;
        _any = CancellationTokenSource.CreateLinkedTokenSource(ending, _silent.Token, _overall?.Token ?? CancellationToken.None);
    }

    public CancellationToken Token => _any.Token;

    public bool Expired => _silent.IsCancellationRequested || _overall?.IsCancellationRequested == true;

    public void Heard() => _silent.CancelAfter(_idle);

    public void Dispose()
    {
        _any.Dispose();
        _silent.Dispose();
        _overall?.Dispose();
    }
}

/// <summary>Copies one direction of a connection. Waits for data before it takes a buffer, so that a thousand idle connections hold none.</summary>
internal static class DuplexCopy
{
    private const int BufferBytes = 16 * 1024;

    /// <param name="source">Read to its end.</param>
    /// <param name="target">Written to.</param>
    /// <param name="silence">Ends the copying.</param>
    /// <param name="moved">Told after each read how many bytes it brought.</param>
    public static async Task<CopyEnd> RunAsync(Stream source, Stream target, SilenceWatch silence, Action<int>? moved = null)
    {
        var reading = true;
        byte[]? buffer = null;
        var share = default(FairShare);
        try
        {
            while (true)
            {
                reading = true;
                if (buffer is null)
                {
#pragma warning disable CA2022 // Reads nothing: it waits until there is something.
                    await source.ReadAsync(Memory<byte>.Empty, silence.Token);
#pragma warning restore CA2022
                    buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
                }

                var coming = source.ReadAsync(buffer.AsMemory(), silence.Token);
                var waited = !coming.IsCompleted;
                var read = await coming;
                if (share.IsUsedUp(waited))
                    await FairShare.ToPool();
                if (read == 0)
                    return CopyEnd.Finished;
                silence.Heard();
                moved?.Invoke(read);
                reading = false;
                await target.WriteAsync(buffer.AsMemory(0, read), silence.Token);
                await target.FlushAsync(silence.Token);
                if (read < buffer.Length)
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = null;
                }
            }
        }
        catch (OperationCanceledException) when (silence.Token.IsCancellationRequested)
        {
            return CopyEnd.Cancelled;
        }
        catch (Exception e) when (e is IOException or HttpRequestException or ObjectDisposedException or InvalidOperationException)
        {
            return silence.Token.IsCancellationRequested ? CopyEnd.Cancelled : reading ? CopyEnd.ReadFailed : CopyEnd.WriteFailed;
        }
        finally
        {
            if (buffer is not null)
                ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
