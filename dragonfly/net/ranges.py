"""The ``Range`` of one request: which bytes of how many; pure."""

from __future__ import annotations

import re

import attrs

__all__ = [
    "RANGES_MAX",
    "ByteRange",
    "TooManyRanges",
    "Unsatisfiable",
    "parse_range",
    "parse_ranges",
]

_ONE = re.compile(r"bytes=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.ASCII | re.IGNORECASE)

RANGES_MAX = 256
"""Ranges of one request. Lazy-pulling snapshotters ask for chunks of 50 kB, some dozens at once."""


class Unsatisfiable(ValueError):
    """The range lies outside of the content: 416."""


class TooManyRanges(ValueError):
    """More than :data:`RANGES_MAX`, or together longer than the content: 400, on which clients
    that ask for several go on with fewer."""


@attrs.frozen
class ByteRange:
    """Bytes ``begin`` up to, not including, ``end``."""

    begin: int
    end: int


def parse_range(header: str | None, length: int | None) -> ByteRange | None:
    """Read a ``Range`` header with one range.

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


def parse_ranges(header: str, length: int | None) -> list[ByteRange] | None:
    """Read a ``Range`` header with any number of ranges, which are given in its order.

    Those that lie outside are left out, as HTTP says.

    :return: ``None`` for the whole: see :func:`parse_range`.
    :raises Unsatisfiable: no byte of any exists.
    :raises TooManyRanges: who follows it would send more than the content.
    """
    unit, equals, text = header.partition("=")
    specs = text.split(",")
    if not equals or length is None:
        return None
    if len(specs) > RANGES_MAX:
        raise TooManyRanges(f"{len(specs)} ranges, more than {RANGES_MAX}")
    found = _each(unit, specs, length)
    if found is None:
        return None
    if not found:
        raise Unsatisfiable
    total = sum(each.end - each.begin for each in found)
    if len(found) > 1 and total > length:
        raise TooManyRanges(f"ranges of {total} bytes together, the content has {length}")
    return found


def _each(unit: str, specs: list[str], length: int) -> list[ByteRange] | None:
    found = []
    for spec in specs:
        try:
            one = parse_range(f"{unit}={spec}", length)
        except Unsatisfiable:
            continue
        if one is None:
            return None
        found.append(one)
    return found
