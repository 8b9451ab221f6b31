namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Follows one direction of a WebSocket and knows where its frames end (RFC 6455, section 5.2): between two frames a third may be put in, inside one nothing may. Looks at
/// headers only; payloads are skipped whole. A pure state machine, not safe for concurrent use; bytes that are no frames leave it in the middle of one, which is where nobody writes.
/// </summary>
internal sealed class WebSocketFrameTracker
{
    private const int OpcodeMask = 0x0f;
    private const int CloseOpcode = 0x8;
    private const int MaskBit = 0x80;
    private const int LengthMask = 0x7f;
    private const int LengthIn16Bits = 126;
    private const int LengthIn64Bits = 127;
    private const int MaskingKeyBytes = 4;

    private Part _part;
    private bool _isClose;
    private bool _isMasked;

    /// <summary>Bytes of the extended length, or of the masking key, that are still to come.</summary>
    private int _headerLeft;

    private ulong _payloadLeft;

    private enum Part
    {
        Opcode,
        Length,
        ExtendedLength,
        MaskingKey,
        Payload,
    }

    /// <summary>True before the first byte, and whenever the last byte that was taken ended a frame.</summary>
    public bool AtBoundary => _part == Part.Opcode;

    /// <summary>True once a close frame has been taken whole: no frame may follow it.</summary>
    public bool Closed { get; private set; }

    /// <summary>Takes all of <paramref name="bytes"/>.</summary>
    public void Take(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[TakeFrame(bytes)..];
    }

    /// <summary>Takes bytes up to and with the end of the frame that they begin or go on with, or all when it does not end in them.</summary>
    /// <returns>How many; at least one unless there are none.</returns>
    public int TakeFrame(ReadOnlySpan<byte> bytes)
    {
        var at = 0;
        while (at < bytes.Length)
        {
            if (_part == Part.Payload)
            {
                var skipped = (int)Math.Min(_payloadLeft, (ulong)(bytes.Length - at));
                at += skipped;
                _payloadLeft -= (ulong)skipped;
                if (_payloadLeft > 0)
                    return at;
                EndFrame();
                return at;
            }

            TakeHeader(bytes[at++]);
            if (_part == Part.Opcode)
                return at;
        }

        return at;
    }

    private void TakeHeader(byte value)
    {
        switch (_part)
        {
            case Part.Opcode:
                _isClose = (value & OpcodeMask) == CloseOpcode;
                _part = Part.Length;
                break;
            case Part.Length:
                _isMasked = (value & MaskBit) != 0;
                _payloadLeft = (ulong)(value & LengthMask);
                _headerLeft = _payloadLeft switch { LengthIn16Bits => 2, LengthIn64Bits => 8, _ => 0 };
                if (_headerLeft > 0)
                    (_payloadLeft, _part) = (0, Part.ExtendedLength);
                else
                    EndLength();
                break;
            case Part.ExtendedLength:
                _payloadLeft = (_payloadLeft << 8) | value;
                if (--_headerLeft == 0)
                    EndLength();
                break;
            case Part.MaskingKey:
                if (--_headerLeft == 0)
                    EndHeader();
                break;
        }
    }

    private void EndLength()
    {
        if (_isMasked)
            (_headerLeft, _part) = (MaskingKeyBytes, Part.MaskingKey);
        else
            EndHeader();
    }

    private void EndHeader()
    {
        if (_payloadLeft > 0)
            _part = Part.Payload;
        else
            EndFrame();
    }

    private void EndFrame()
    {
        Closed |= _isClose;
        _part = Part.Opcode;
    }
}
