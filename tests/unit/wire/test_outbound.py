"""What waits to be written: the order, and what rides along."""

from __future__ import annotations

import pytest

from dragonfly.wire.codec import encode
from dragonfly.wire.constants import HAVES_PER_FRAME, MAX_RIDING_HAVES
from dragonfly.wire.messages import Data, Have, Ping
from dragonfly.wire.outbound import Outbound


@pytest.fixture
def out() -> Outbound:
    """With nothing in it."""
    return Outbound()


def test_in_order(out: Outbound) -> None:
    """A slice is a chunk of its own, the very bytes that were given."""
    head, payload = Data(1, 0, 3), bytes([1, 2, 3])
    out.say(Ping(7))
    out.say_slice(head, payload)
    assert out.size_bytes == len(encode(Ping(7))) + len(encode(head)) + 3
    ping, data, body = out.take()
    assert (ping, data) == (encode(Ping(7)), encode(head))
    assert body is payload
    assert out.take() == []
    assert out.size_bytes == 0


def test_what_rides(out: Outbound) -> None:
    """So many at once, in the order in which they were shown."""
    pieces = tuple(range(MAX_RIDING_HAVES + 2))
    out.show(pieces)
    assert out.ride() == pieces[:-2]
    assert out.haves == 2
    assert out.ride(1) == pieces[-2:-1]
    assert out.ride() == pieces[-1:]
    assert out.ride() == ()


def test_shown_now(out: Outbound) -> None:
    """In as many frames as that takes; none without any."""
    pieces = tuple(range(HAVES_PER_FRAME + 1))
    out.flush_haves()
    out.show(pieces)
    out.flush_haves()
    assert out.take() == [encode(Have(pieces[:-1])), encode(Have(pieces[-1:]))]


def test_shown_by_other_means(out: Outbound) -> None:
    """Nothing rides then."""
    out.show([1])
    out.drop_haves()
    assert (out.haves, out.ride()) == (0, ())
