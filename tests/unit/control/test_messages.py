"""Control messages as values: secrets do not show, nothing changes."""

from __future__ import annotations

import attrs
import pytest

from dragonfly.control import messages
from dragonfly.control.messages import Announced, Holding, RegisterAnswer, RegisterRequest

KINDS = [
    value for name, value in vars(messages).items() if name in messages.__all__ and attrs.has(value)
]


def test_requests_do_not_show_secrets() -> None:
    """URL and headers of a registration may hold credentials; a log line has neither."""
    request = RegisterRequest(
        url="http://user:s3cret@host/",
        key=b"k" * 32,
        peer=Announced(port=1),
        headers=[("Authorization", "s3cret")],
    )
    assert "s3cret" not in repr(request)


def test_long_fields_do_not_show() -> None:
    """A grant in a log could be used, a bitfield would fill it."""
    holding = Holding(task=b"", fetch=1, piece_size=1, count=8, bits=b"BITS")
    answer = RegisterAnswer(
        task=b"",
        fetch=1,
        piece_size=1,
        grant=b"GRANT",
        grant_expires=1,
        now=1.0,
        keys=[],
        announce_after=1.0,
        state="ready",
        runs=[b"RUN"],
    )
    assert not {word for word in ("BITS", "GRANT", "RUN") if word in f"{holding} {answer}"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_messages_do_not_change(kind: type[attrs.AttrsInstance]) -> None:
    """What was signed or sent cannot be altered behind anybody's back; fields go by name."""
    assert all(field.kw_only for field in attrs.fields(kind))
    made = kind.__new__(kind)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(made, attrs.fields(kind)[0].name, 1)


def test_lists_are_not_shared() -> None:
    """Two requests made with defaults do not share their lists."""
    one, other = (RegisterRequest(url="", key=b"", peer=Announced(port=1)) for _ in range(2))
    one.filters.append("x")
    assert other.filters == []
