"""What a peer makes of a supernode's answers."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from dragonfly.config import Node
from dragonfly.control.codec import to_json
from dragonfly.control.messages import Announced, RegisterAnswer, RegisterRequest
from dragonfly.errors import TrackerError
from dragonfly.net.http import ControlAnswer
from dragonfly.peer.tracker.supernodes import Supernode
from dragonfly.signatures import SigningKey
from dragonfly.task.digest import piece_digest
from dragonfly.task.manifest import Run, sign_run
from tests.doubles.inline import result_of

ME, NODE, OTHER = (SigningKey.from_bytes(bytes([n]) * 32) for n in (1, 2, 3))
TASK = b"t" * 32
SIZE = 32 * 1024
BODY = bytes(range(256)) * 160


class FakeClient:
    """Answers with one message."""

    def __init__(self, answer: RegisterAnswer) -> None:
        self.answer = answer

    async def post_json(self, *_: Any, **__: Any) -> ControlAnswer:
        """Whatever was asked."""
        return ControlAnswer(200, to_json(self.answer))


def whole(**changes: Any) -> RegisterAnswer:
    """All of a small content."""
    parts = (BODY[:SIZE], BODY[SIZE:])
    run = Run(
        task=TASK,
        fetch=1,
        piece_size=SIZE,
        first=0,
        digests=tuple(map(piece_digest, parts)),
        length=len(BODY),
    )
    told: dict[str, Any] = {
        "task": TASK,
        "fetch": 1,
        "piece_size": SIZE,
        "grant": b"",
        "grant_expires": 0,
        "now": 0.0,
        "keys": [NODE.public],
        "announce_after": 1.0,
        "state": "ready",
        "length": len(BODY),
        "runs": [sign_run(run, NODE)],
        "content": BODY,
    }
    return RegisterAnswer(**(told | changes))


def register(answer: RegisterAnswer) -> Any:
    """Register, and be answered so."""
    client: Any = FakeClient(answer)
    supernode = Supernode(Node(host="node"), ME, client, Clock())
    request = RegisterRequest(url="http://host/f", key=ME.public, peer=Announced(port=1))
    return result_of(supernode.register(request))


def test_what_it_signed_for_is_taken() -> None:
    """Content and runs agree."""
    assert register(whole()) == whole()


@pytest.mark.parametrize(
    "changes",
    [
        {"content": BODY[:-1] + b"?"},
        {"content": BODY[:-1]},
        {"content": BODY + b"?"},
        {"content": b""},
        {"runs": []},
        {"runs": [b"no run"]},
        {"keys": [OTHER.public]},
        {"length": 5},
    ],
    ids=["wrong", "short", "long", "none", "no runs", "malformed", "another key", "length"],
)
def test_what_it_did_not_sign_for_is_refused(changes: dict[str, Any]) -> None:
    """The peer reads the origin then: an error of the supernode's is nobody else's."""
    with pytest.raises(TrackerError, match="did not sign"):
        register(attrs.evolve(whole(), **changes))


def test_with_a_grant_nothing_need_be_inside() -> None:
    """The usual answer."""
    usual = whole(grant=b"grant", content=b"", runs=[])
    assert register(usual) == usual
