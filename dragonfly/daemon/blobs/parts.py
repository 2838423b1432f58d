"""The parts of an answer: one body, or several ranges as ``multipart/byteranges``; pure.

RFC 9110, 14.6 and 15.3.7.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from dragonfly.net.ranges import ByteRange

__all__ = ["Part", "Parts", "multipart", "single", "whole"]


@attrs.frozen
class Part:
    """Some bytes of a content, behind ``head``.

    :ivar end: ``None``: to the end of the content, which nobody knows yet.
    """

    begin: int
    end: int | None
    head: bytes = b""


@attrs.frozen(kw_only=True)
class Parts:
    """What is written, in order, and behind all of it ``tail``.

    :ivar length: bytes of all together; ``None``: not known.
    :ivar media_type: of an answer with several parts; empty: the content's own.
    :ivar ranged: whether it answers a request for ranges.
    """

    parts: tuple[Part, ...]
    tail: bytes = b""
    length: int | None = None
    media_type: bytes = b""
    ranged: bool = False


def whole(length: int | None) -> Parts:
    """All of a content."""
    return Parts(parts=(Part(0, length),), length=length)


def single(span: ByteRange) -> Parts:
    """One range."""
    part = Part(span.begin, span.end)
    return Parts(parts=(part,), length=span.end - span.begin, ranged=True)


def multipart(
    spans: Sequence[ByteRange], *, length: int, media_type: bytes, boundary: bytes
) -> Parts:
    """Several ranges of a content.

    :param length: of the content.
    :param media_type: of the content; empty: not said.
    :param boundary: letters and digits that do not occur in it.
    """
    parts = []
    for place, span in enumerate(spans):
        lines = [b"--" + boundary]
        if media_type:
            lines.append(b"Content-Type: " + media_type)
        lines.append(b"Content-Range: bytes %d-%d/%d" % (span.begin, span.end - 1, length))
        head = (b"\r\n" if place else b"") + b"\r\n".join(lines) + b"\r\n\r\n"
        parts.append(Part(span.begin, span.end, head))
    tail = b"\r\n--" + boundary + b"--\r\n"
    total = sum(len(part.head) for part in parts) + len(tail)
    total += sum(span.end - span.begin for span in spans)
    return Parts(
        parts=tuple(parts),
        tail=tail,
        length=total,
        media_type=b"multipart/byteranges; boundary=" + boundary,
        ranged=True,
    )
