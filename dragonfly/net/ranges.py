"""The ``Range`` of one request: which bytes of how many; pure."""

from __future__ import annotations

import re

import attrs

__all__ = ["ByteRange", "Unsatisfiable", "parse_range"]

_ONE = re.compile(r"bytes=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.ASCII | re.IGNORECASE)


class Unsatisfiable(ValueError):
    """The range lies outside of the content: 416."""


@attrs.frozen
class ByteRange:
    """Bytes ``begin`` up to, not including, ``end``."""

    begin: int
    end: int


def parse_range(header: str | None, length: int | None) -> ByteRange | None:
    """Read a ``Range`` header.

    Several ranges, other units and malformed headers are answered with the whole, as HTTP
    allows; so is any range while the length is unknown.

    :return: ``None`` for the whole.
    :raises Unsatisfiable: no byte of it exists.
    """
    found = _ONE.fullmatch(header) if header is not None else None
    if found is None or length is None:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        return _suffix(int(last), length)
    begin = int(first)
    end = min(int(last) + 1, length) if last else length
    if last and int(last) < begin:
        return None
    if begin >= length:
        raise Unsatisfiable
    return ByteRange(begin, end)


def _suffix(count: int, length: int) -> ByteRange:
    if count == 0 or length == 0:
        raise Unsatisfiable
    return ByteRange(max(0, length - count), length)
