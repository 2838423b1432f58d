"""Which bytes a Range header asks for."""

from __future__ import annotations

import pytest

from dragonfly.net.ranges import (
    RANGES_MAX,
    ByteRange,
    TooManyRanges,
    Unsatisfiable,
    parse_range,
    parse_ranges,
)


@pytest.mark.parametrize(
    ("header", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=10-", 10, 100),
        ("bytes=10-19", 10, 20),
        ("bytes=90-1000000", 90, 100),
        ("bytes=99-99", 99, 100),
        ("bytes=-1", 99, 100),
        ("bytes=-1000", 0, 100),
        ("bytes= 1 - 2 ", 1, 3),
        ("Bytes=10-19", 10, 20),
        ("bytes=1-999999999999999999", 1, 100),
    ],
)
def test_one_range(header: str, begin: int, end: int) -> None:
    """First and last byte are inclusive, a suffix counts from the end."""
    assert parse_range(header, 100) == ByteRange(begin, end)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-4",
        "bytes=a-b",
        "bytes=0-1,5-6",
        "lines=0-1",
        "bytes=1-9999999999999999999",
        "bytes=\u0661-\u0662",
        "byte\u017f=1-2",
        "bytes=0-1\nbytes=3-4",
    ],
)
def test_the_whole(header: str | None) -> None:
    """What is absent, malformed or more than one range is answered with everything."""
    assert parse_range(header, 100) is None


def test_unknown_length() -> None:
    """While nobody knows the length there is no range of it."""
    assert parse_range("bytes=0-5", None) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_outside(header: str) -> None:
    """No byte of it exists."""
    with pytest.raises(Unsatisfiable):
        parse_range(header, 100)


def test_of_nothing() -> None:
    """Empty content has no byte to give."""
    for header in ("bytes=0-", "bytes=-5"):
        with pytest.raises(Unsatisfiable):
            parse_range(header, 0)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-1, 4-5", [(0, 2), (4, 6)]),
        ("bytes=4-,0-0", [(4, 10), (0, 1)]),
        ("bytes=-1,0-0,50-60", [(9, 10), (0, 1)]),
        ("bytes=0-1", [(0, 2)]),
        ("bytes=0-", [(0, 10)]),
        ("bytes=0-1,x", None),
        ("bytes=0-1,", None),
        ("pages=0-1", None),
        ("bytes", None),
    ],
)
def test_several(header: str, expected: list[tuple[int, int]] | None) -> None:
    """In their order, without those that lie outside; anything malformed is the whole."""
    found = parse_ranges(header, 10)
    assert (found if found is None else [(each.begin, each.end) for each in found]) == expected
    assert parse_ranges(header, None) is None


def test_several_that_are_refused() -> None:
    """All outside; more than anybody needs; more than there is."""
    with pytest.raises(Unsatisfiable):
        parse_ranges("bytes=10-,20-30", 10)
    with pytest.raises(TooManyRanges, match="257 ranges, more than 256"):
        parse_ranges("bytes=" + ",".join(["0-0"] * (RANGES_MAX + 1)), 1000)
    with pytest.raises(TooManyRanges, match="11 bytes together, the content has 10"):
        parse_ranges("bytes=0-9,0-0", 10)
