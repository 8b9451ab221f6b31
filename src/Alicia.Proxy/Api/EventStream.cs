using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Alicia.Proxy.Events;

namespace Alicia.Proxy.Api;

/// <summary>
/// Writes one follower's events as <c>text/event-stream</c> (WHATWG HTML, section 9.2). Every so often it says where it is, also when nothing that the follower
/// may see has happened, so that a follower of one quiet service in a busy house still resumes within the history.
/// </summary>
/// <param name="body">Where the stream goes.</param>
/// <param name="follower">Where it comes from.</param>
/// <param name="shows">Which services' events are written.</param>
/// <param name="time">Clock.</param>
/// <param name="ended">Ends the stream.</param>
internal sealed class EventStream(PipeWriter body, EventLog.Follower follower, Func<string, bool> shows, TimeProvider time, CancellationToken ended)
{
    /// <summary>Longest silence on the wire.</summary>
    public static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(15);

    /// <summary>How long a follower may leave what was sent unread once all buffers on the way are full.</summary>
    public static readonly TimeSpan WriteLimit = TimeSpan.FromSeconds(10);

    /// <summary>Events that are taken before they are sent; bounds how much is buffered here and how late the follower learns of the first.</summary>
    private const int Batch = 64;

    private long _position = follower.From;
    private long _toldPosition;

    /// <summary>Writes until the stream is ended, the follower was cut off, or nobody is there to read.</summary>
    /// <returns>False when a write was still pending: the reader has not taken what was sent.</returns>
    public async Task<bool> RunAsync()
    {
        Write("retry: 2000\n");
        if (follower.Gap)
            Write(EventDocument.Reset(follower.From, time.GetUtcNow()));
        else
            WritePosition();

        Task<bool>? more = null;
        var wrote = true;
        var lastWrite = time.GetTimestamp();
        while (!ended.IsCancellationRequested)
        {
            for (var i = 0; i < Batch && follower.Events.TryRead(out var happened); i++)
            {
                _position = happened.Id;
                if (!shows(happened.Service))
                    continue;
                Write(EventDocument.Of(happened));
                wrote = true;
            }

            var silence = time.GetElapsedTime(lastWrite);
            if (!wrote && silence >= KeepAlive)
            {
                Write(":\n");
                WritePosition();
                wrote = true;
            }

            if (wrote)
            {
                if (await FlushAsync() is { } end)
                    return end;
                wrote = false;
                lastWrite = time.GetTimestamp();
                continue;
            }

            try
            {
                more ??= follower.Events.WaitToReadAsync(ended).AsTask();
                if (!await more.WaitAsync(KeepAlive - silence, time, CancellationToken.None))
                    return true;
                more = null;
            }
            catch (TimeoutException)
            {
                // Time to say that somebody is here. The wait goes on where it was.
            }
            catch (OperationCanceledException)
            {
                return true;
            }
        }

        return true;
    }

    /// <summary>Sends what was written.</summary>
    /// <returns>Null to go on; otherwise what <see cref="RunAsync"/> returns.</returns>
    private async Task<bool?> FlushAsync()
    {
        var flush = body.FlushAsync(CancellationToken.None);
        if (flush.IsCompletedSuccessfully)
            return flush.Result.IsCompleted ? true : null;
        try
        {
            return (await flush.AsTask().WaitAsync(WriteLimit, time, ended)).IsCompleted ? true : null;
        }
        catch (TimeoutException)
        {
            follower.GiveUp();
            return false;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private void Write(EventDocument document)
    {
        _toldPosition = document.Id;
        Write(string.Create(CultureInfo.InvariantCulture, $"id: {document.Id}\nevent: {document.Type}\ndata: "));
        using (var json = new Utf8JsonWriter(body, new JsonWriterOptions { Encoder = Wire.Json.Encoder }))
            JsonSerializer.Serialize(json, document, Wire.Json);
        Write("\n\n");
    }

    /// <summary>An id without data: no event to who reads it, and the place from which it would resume.</summary>
    private void WritePosition()
    {
        if (_position != _toldPosition)
            Write(string.Create(CultureInfo.InvariantCulture, $"id: {_position}\n"));
        _toldPosition = _position;
        Write("\n");
    }

    private void Write(string text) => Encoding.UTF8.GetBytes(text, body);
}
