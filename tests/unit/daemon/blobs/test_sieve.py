"""Parts that are read as one, and given out one by one."""

from __future__ import annotations

import pytest

from dragonfly.daemon.blobs.parts import Part
from dragonfly.daemon.blobs.sieve import GAP_BYTES, Sieve, grouped, wanted_bytes
from tests.doubles.responding import HeardResponder, request

BODY = bytes(range(100))


def test_groups() -> None:
    """In their order, and only what follows closely."""
    near, far = Part(30, 40), Part(40 + GAP_BYTES + 1, None)
    assert grouped([Part(0, 10), near, far]) == [(Part(0, 10), near), (far,)]
    assert grouped([near, Part(0, 10)]) == [(near,), (Part(0, 10),)]
    assert grouped([near, Part(35, 50)]) == [(near,), (Part(35, 50),)]
    assert grouped([Part(0, 10), Part(10 + GAP_BYTES, 70_000)]) == [
        (Part(0, 10), Part(10 + GAP_BYTES, 70_000))
    ]
    assert grouped([]) == []


@pytest.mark.parametrize(
    ("position", "count"), [(10, 0), (15, 5), (20, 10), (29, 10), (31, 11), (90, 50)]
)
def test_what_was_given(position: int, count: int) -> None:
    """Without what lies between."""
    assert wanted_bytes([Part(10, 20), Part(30, 40), Part(60, None)], position) == count


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_only_what_is_wanted(size: int) -> None:
    """Each behind its head, however the bytes come."""
    responder = HeardResponder(request())
    responder.start(206, ())
    sieve = Sieve(responder, [Part(10, 20, b"<a>"), Part(20, 21, b"<b>"), Part(50, None, b"<c>")])
    for at in range(10, 100, size):
        sieve.write(BODY[at : at + size])
    wanted = b"<a>" + BODY[10:20] + b"<b>" + BODY[20:21] + b"<c>" + BODY[50:]
    assert responder.received == wanted
