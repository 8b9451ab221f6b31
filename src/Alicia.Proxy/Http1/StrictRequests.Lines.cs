using System.Text;

namespace Alicia.Proxy.Http1;

/// <summary>What each line has to be: request lines, fields, chunk lines, trailers. What lines are, and where bytes stand, is in the other half.</summary>
internal sealed partial class StrictRequests
{
    private RequestFault? ReadRequestLine(ReadOnlySpan<byte> line)
    {
        if (line.IsEmpty)
        {
            // One is forgiven, as the RFC asks: old browsers sent one after a form.
            if (_emptyLineSeen)
                return RequestFault.EmptyLines;
            _emptyLineSeen = true;
            return null;
        }

        var first = line.IndexOf((byte)' ');
        if (first <= 0)
            return RequestFault.RequestLine;
        var method = line[..first];
        var rest = line[(first + 1)..];
        var second = rest.IndexOf((byte)' ');
        if (second <= 0)
            return RequestFault.RequestLine;
        var target = rest[..second];
        if (CheckVersion(rest[(second + 1)..]) is { } version)
            return version;
        if (method.ContainsAnyExcept(Syntax.Token))
            return RequestFault.Method;
        if (Ascii.EqualsIgnoreCase(method, "CONNECT"u8))
            return RequestFault.Connect;
        if (target.Length > _limits.TargetBytes)
            return RequestFault.TargetTooLong;
        if (Syntax.CheckTarget(target) is { } bad)
            return bad;
        _part = Part.Fields;
        return target[0] == '/' ? null : CheckOtherForm(method, target);
    }

    private RequestFault? CheckVersion(ReadOnlySpan<byte> version)
    {
        if (version.SequenceEqual("HTTP/1.1"u8))
            return null;
        _isOldVersion = version.SequenceEqual("HTTP/1.0"u8);
        if (_isOldVersion)
            return null;
        return version.Length == 8 && version.StartsWith("HTTP/"u8) && char.IsAsciiDigit((char)version[5]) && version[6] == '.' && char.IsAsciiDigit((char)version[7])
            ? RequestFault.Version
            : version.Contains((byte)' ') ? RequestFault.RequestLine : RequestFault.VersionForm;
    }

    private RequestFault? CheckOtherForm(ReadOnlySpan<byte> method, ReadOnlySpan<byte> target)
    {
        if (target is [(byte)'*'])
            return method.SequenceEqual("OPTIONS"u8) ? null : RequestFault.Asterisk;
        if (!Syntax.TryAuthority(target, out var authority) || !Syntax.IsHost(authority))
            return RequestFault.TargetForm;
        _isTls = target[4] == 's';
        _authority = authority.ToArray();
        return null;
    }

    private RequestFault? ReadField(ReadOnlySpan<byte> line)
    {
        if (CheckField(line, out var name, out var value) is { } fault)
            return fault;
        switch (name.Length)
        {
            case 4 when Ascii.EqualsIgnoreCase(name, "host"u8):
                if (_hasHost)
                    return RequestFault.SeveralHosts;
                _hasHost = true;
                value = Trim(value);
                if (!Syntax.IsHost(value))
                    return RequestFault.Host;
                return _authority is not null && !Syntax.IsSameAuthority(value, _authority, _isTls) ? RequestFault.HostDiffers : null;
            case 14 when Ascii.EqualsIgnoreCase(name, "content-length"u8):
                if (_hasLength)
                    return RequestFault.SeveralLengths;
                _hasLength = true;
                if (!Syntax.TryDigits(Trim(value), out _remaining))
                    return RequestFault.ContentLength;
                return _isChunked ? RequestFault.LengthAndCoding : _remaining > _limits.BodyBytes ? RequestFault.BodyTooLarge : null;
            case 17 when Ascii.EqualsIgnoreCase(name, "transfer-encoding"u8):
                if (_isOldVersion)
                    return RequestFault.CodingInOldVersion;
                if (_isChunked || !Ascii.EqualsIgnoreCase(Trim(value), "chunked"u8))
                    return RequestFault.TransferCoding;
                _isChunked = true;
                return _hasLength ? RequestFault.LengthAndCoding : null;
            case 7 when Ascii.EqualsIgnoreCase(name, "upgrade"u8):
                _mayUpgrade = true;
                return null;
            case 7 when Ascii.EqualsIgnoreCase(name, "trailer"u8):
                return TrailerNames.AreAllowed(value) ? null : RequestFault.TrailerName;
            default:
                return null;
        }
    }

    /// <summary>Checks a line's form and its share of the limits.</summary>
    private RequestFault? CheckField(ReadOnlySpan<byte> line, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        name = value = default;
        _fieldBytes += line.Length + 2;
        if (_fieldBytes > _limits.FieldBytes || ++_fieldCount > _limits.FieldCount)
            return RequestFault.FieldsTooLarge;
        var colon = line.IndexOfAnyExcept(Syntax.Token);
        if (colon <= 0 || line[colon] != ':')
        {
            var blank = colon >= 0 && line[colon] is (byte)' ' or (byte)'\t';
            return !blank ? RequestFault.FieldName : colon == 0 ? RequestFault.Folded : RequestFault.BlankBeforeColon;
        }

        name = line[..colon];
        value = line[(colon + 1)..];
        return null;
    }

    private RequestFault? EndHead()
    {
        if (!_hasHost && !_isOldVersion)
            return RequestFault.NoHost;
        (_fieldBytes, _fieldCount) = (0, 0);
        _part = _isChunked ? Part.ChunkLine : _hasLength && _remaining > 0 ? Part.Body : _mayUpgrade ? Part.Upgrade : Part.Over;
        return null;
    }

    private RequestFault? ReadChunkLine(ReadOnlySpan<byte> line)
    {
        if (Syntax.ReadChunkLine(line, out var size) is { } fault)
            return fault;
        _remaining = size;
        _part = size == 0 ? Part.Trailers : Part.ChunkData;
        return null;
    }

    private RequestFault? ReadTrailer(ReadOnlySpan<byte> line) =>
        CheckField(line, out var name, out _) ?? (TrailerNames.IsAllowed(name) ? null : RequestFault.TrailerName);

    private RequestFault? EndTrailers()
    {
        _part = Part.Over;
        return null;
    }

    private static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> value) => value.Trim(" \t"u8);
}
