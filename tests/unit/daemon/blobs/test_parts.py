"""Several ranges in one answer."""

from __future__ import annotations

import email.parser
import email.policy

from dragonfly.daemon.blobs.parts import multipart, single, whole
from dragonfly.net.ranges import ByteRange

BODY = bytes(range(256))


def test_multipart() -> None:
    """A parser of MIME finds the same parts, and the length is what was announced."""
    spans = [ByteRange(3, 7), ByteRange(0, 1), ByteRange(250, 256)]
    parts = multipart(spans, length=256, media_type=b"application/x-y", boundary=b"b0undary")
    text = b"".join(part.head + BODY[part.begin : part.end] for part in parts.parts) + parts.tail
    assert parts.length == len(text)
    assert parts.ranged
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    message = parser.parsebytes(b"Content-Type: " + parts.media_type + b"\r\n\r\n" + text)
    found = list(message.iter_parts())  # type: ignore[attr-defined]
    assert [part["Content-Range"] for part in found] == [
        "bytes 3-6/256",
        "bytes 0-0/256",
        "bytes 250-255/256",
    ]
    assert all(part.get_content_type() == "application/x-y" for part in found)
    assert text.split(b"\r\n\r\n")[1].startswith(BODY[3:7] + b"\r\n--b0undary\r\n")


def test_one_body() -> None:
    """Nothing stands around it."""
    assert single(ByteRange(3, 7)).length == 4
    assert single(ByteRange(3, 7)).ranged
    assert (whole(10).length, whole(10).ranged, whole(None).length) == (10, False, None)
