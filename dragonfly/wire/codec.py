"""Messages to bytes and back: layouts as structs, values checked, nothing remembered."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from dragonfly.errors import BadMagic, BadMessage, LocalProtocolError
from dragonfly.wire.constants import (
    ANY_PIECE,
    BYE_TEXT_BYTES,
    DATA_PREFIX_BYTES,
    FRAME_LIMITS,
    HELLO_FIXED_BYTES,
    MAGIC,
    MAX_IN_FLIGHT,
    MAX_PIECES,
    SLICE_BYTES,
    VERSION,
    Kind,
)
from dragonfly.wire.messages import (
    KINDS,
    Auth,
    BitfieldFrame,
    Bye,
    Cancel,
    Data,
    Digests,
    GetDigests,
    Have,
    Hello,
    Message,
    Ping,
    Pong,
    Reject,
    Request,
    RequestAny,
)

__all__ = ["FRAME", "decode", "decode_data", "decode_hello", "encode", "encode_payload"]

FRAME = struct.Struct(">IB")
_HELLO = struct.Struct(">4sHHI32s32s32sQIHH")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_REQUEST = struct.Struct(">IIIB")
_REJECT = struct.Struct(">IIB")
_CANCEL = struct.Struct(">II")
_DATA = struct.Struct(">IIBB")
_LAST = 1
_ANY = 2


def encode(message: Message) -> bytes:
    """Give the frame of ``message``; for :class:`Data` all but the slice itself.

    :raises LocalProtocolError: a value does not fit its field, or the frame its limit.
    """
    kind = KINDS[type(message)]
    payload = encode_payload(message)
    length = len(payload) + (message.length if isinstance(message, Data) else 0)
    least, most = FRAME_LIMITS[kind]
    if not least <= length <= most:
        raise LocalProtocolError(f"{kind.name} of {length} bytes, {least} to {most} are allowed")
    return FRAME.pack(length, kind) + payload


def encode_payload(message: Message) -> bytes:
    """Give the payload of ``message``; for :class:`Data` all but the slice itself.

    :raises LocalProtocolError: a value does not fit its field.
    """
    try:
        return _ENCODERS[type(message)](message)
    except struct.error as error:
        raise LocalProtocolError(f"{message!r} does not fit its layout: {error}") from None


def decode(kind: Kind, payload: bytes) -> Message:
    """Read the payload of any message but DATA; its size is within the limits of its kind.

    :raises BadMessage: it does not decode, or a value is out of range.
    :raises BadMagic: a HELLO that is not one.
    """
    return _DECODERS[kind](payload)


def decode_data(prefix: bytes, length: int) -> Data:
    """Read what stands before the slice in a DATA payload of ``length`` bytes in all.

    ``prefix`` may end after the count of riding HAVEs; then they are left out.

    :raises BadMessage: a value is out of range, or no slice or too large a one is left.
    """
    piece, begin, flags, count = _DATA.unpack_from(prefix)
    size = length - DATA_PREFIX_BYTES - 4 * count
    if flags & ~(_LAST | _ANY):
        raise BadMessage(f"DATA with flags {flags}")
    if not 1 <= size <= SLICE_BYTES:
        raise BadMessage(f"DATA with a slice of {size} bytes, 1 to {SLICE_BYTES} are allowed")
    haves = prefix[DATA_PREFIX_BYTES:]
    return Data(
        _index(piece, "DATA"),
        begin,
        size,
        last=bool(flags & _LAST),
        any=bool(flags & _ANY),
        haves=_indices(haves, "DATA"),
    )


# -- encoding -------------------------------------------------------------------


def _encode_hello(hello: Hello) -> bytes:
    fixed = _HELLO.pack(
        MAGIC,
        hello.version,
        hello.oldest,
        hello.features,
        _exactly(hello.task, 32),
        _exactly(hello.key, 32),
        _exactly(hello.nonce, 32),
        hello.fetch,
        hello.piece_size,
        hello.port,
        len(hello.grant),
    )
    return fixed + hello.grant


def _encode_bitfield(message: BitfieldFrame) -> bytes:
    return _U32.pack(message.count) + _exactly(message.bits, (message.count + 7) // 8)


def _encode_request(message: Request) -> bytes:
    head = _REQUEST.pack(message.piece, message.begin, message.length, len(message.haves))
    return head + _pack_indices(message.haves)


def _encode_any(message: RequestAny) -> bytes:
    flying, haves = message.in_flight, message.haves
    return b"".join(
        (bytes((len(flying),)), _pack_indices(flying), bytes((len(haves),)), _pack_indices(haves))
    )


def _encode_data(message: Data) -> bytes:
    flags = (_LAST if message.last else 0) | (_ANY if message.any else 0)
    head = _DATA.pack(message.piece, message.begin, flags, len(message.haves))
    return head + _pack_indices(message.haves) if message.haves else head


def _encode_bye(message: Bye) -> bytes:
    """Cut the text to its limit, between characters."""
    text = message.text.encode("utf-8", "replace")[:BYE_TEXT_BYTES]
    return _U16.pack(message.code) + text.decode("utf-8", "ignore").encode()


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise LocalProtocolError(f"{len(data)} bytes in a field of {size}")
    return data


def _pack_indices(pieces: Sequence[int]) -> bytes:
    return struct.pack(f">{len(pieces)}I", *pieces)


_ENCODERS: dict[type[Message], Callable[[Any], bytes]] = {
    Hello: _encode_hello,
    Auth: lambda message: _exactly(message.signature, 64),
    Digests: lambda message: message.run,
    GetDigests: lambda message: _U32.pack(message.first),
    BitfieldFrame: _encode_bitfield,
    Have: lambda message: _pack_indices(message.pieces),
    Request: _encode_request,
    RequestAny: _encode_any,
    Data: _encode_data,
    Reject: lambda message: _REJECT.pack(message.piece, message.begin, message.code),
    Cancel: lambda message: _CANCEL.pack(message.piece, message.begin),
    Ping: lambda message: _U64.pack(message.token),
    Pong: lambda message: _U64.pack(message.token),
    Bye: _encode_bye,
}


# -- decoding -------------------------------------------------------------------


def decode_hello(payload: bytes) -> Hello:
    """Read the payload of a HELLO.

    :raises BadMagic: it is not one.
    :raises BadMessage: it does not decode.
    """
    magic, version, oldest, features, task, key, nonce, fetch, piece_size, port, size = (
        _HELLO.unpack_from(payload)
    )
    if magic != MAGIC:
        raise BadMagic(f"HELLO begins with {magic!r}")
    end = HELLO_FIXED_BYTES + size
    if len(payload) < end or (len(payload) > end and version <= VERSION):
        raise BadMessage(f"HELLO of {len(payload)} bytes with a grant of {size}")
    return Hello(
        version=version,
        oldest=oldest,
        features=features,
        task=task,
        key=key,
        nonce=nonce,
        fetch=fetch,
        piece_size=piece_size,
        port=port,
        grant=payload[HELLO_FIXED_BYTES:end],
    )


def _decode_bitfield(payload: bytes) -> BitfieldFrame:
    count, bits = _U32.unpack_from(payload)[0], payload[4:]
    if count > MAX_PIECES or len(bits) != (count + 7) // 8:
        raise BadMessage(f"BITFIELD of {count} pieces in {len(bits)} bytes")
    if count % 8 and bits[-1] & (0xFF >> count % 8):
        raise BadMessage(f"BITFIELD of {count} pieces with spare bits set")
    return BitfieldFrame(count, bits)


def _decode_have(payload: bytes) -> Have:
    if len(payload) % 4:
        raise BadMessage(f"HAVE of {len(payload)} bytes")
    return Have(_indices(payload, "HAVE"))


def _decode_request(payload: bytes) -> Request:
    piece, begin, length, count = _REQUEST.unpack_from(payload)
    haves = payload[_REQUEST.size :]
    if len(haves) != 4 * count or not length:
        raise BadMessage(f"REQUEST for {length} bytes, with {len(haves)} bytes of {count} haves")
    return Request(_index(piece, "REQUEST"), begin, length, _indices(haves, "REQUEST"))


def _decode_any(payload: bytes) -> RequestAny:
    flying = payload[0]
    at = 1 + 4 * flying
    if flying > MAX_IN_FLIGHT or len(payload) < at + 1:
        raise BadMessage(f"REQUEST_ANY of {len(payload)} bytes with {flying} pieces in flight")
    count, haves = payload[at], payload[at + 1 :]
    if len(haves) != 4 * count:
        raise BadMessage(f"REQUEST_ANY with {len(haves)} bytes of {count} haves")
    return RequestAny(_indices(payload[1:at], "REQUEST_ANY"), _indices(haves, "REQUEST_ANY"))


def _decode_reject(payload: bytes) -> Reject:
    piece, begin, code = _REJECT.unpack(payload)
    return Reject(_index_or_any(piece, "REJECT"), begin, code)


def _decode_cancel(payload: bytes) -> Cancel:
    piece, begin = _CANCEL.unpack(payload)
    return Cancel(_index_or_any(piece, "CANCEL"), begin)


def _decode_first(payload: bytes) -> GetDigests:
    first = _U32.unpack(payload)[0]
    if first > MAX_PIECES:
        raise BadMessage(f"GET_DIGESTS from piece {first}")
    return GetDigests(first)


def _decode_bye(payload: bytes) -> Bye:
    """Make the text fit for a log, whatever it was."""
    text = payload[2:].decode("utf-8", "replace")
    return Bye(
        _U16.unpack_from(payload)[0], "".join(c if c.isprintable() else "\ufffd" for c in text)
    )


def _indices(data: bytes, what: str) -> tuple[int, ...]:
    if not data:
        return ()
    pieces = struct.unpack(f">{len(data) // 4}I", data)
    _index(max(pieces), what)
    return pieces


def _index(piece: int, what: str) -> int:
    if piece >= MAX_PIECES:
        raise BadMessage(f"{what} with piece {piece}, {MAX_PIECES} are the most")
    return piece


def _index_or_any(piece: int, what: str) -> int:
    return piece if piece == ANY_PIECE else _index(piece, what)


_DECODERS: dict[Kind, Callable[[bytes], Message]] = {
    Kind.HELLO: decode_hello,
    Kind.AUTH: Auth,
    Kind.DIGESTS: Digests,
    Kind.GET_DIGESTS: _decode_first,
    Kind.BITFIELD: _decode_bitfield,
    Kind.HAVE: _decode_have,
    Kind.REQUEST: _decode_request,
    Kind.REQUEST_ANY: _decode_any,
    Kind.REJECT: _decode_reject,
    Kind.CANCEL: _decode_cancel,
    Kind.PING: lambda payload: Ping(_U64.unpack(payload)[0]),
    Kind.PONG: lambda payload: Pong(_U64.unpack(payload)[0]),
    Kind.BYE: _decode_bye,
}
