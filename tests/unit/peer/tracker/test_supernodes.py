"""A busy supernode: whom it sends away for a while comes again, but not for ever."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from dragonfly.config import Node
from dragonfly.control.codec import to_json
from dragonfly.control.messages import Announced, DirectAnswer, ErrorBody, RegisterRequest
from dragonfly.errors import TrackerBusy, TrackerError
from dragonfly.net.http import ControlAnswer
from dragonfly.peer.tracker.supernodes import BUSY_LEAST_S, BUSY_PATIENCE_S, Supernodes
from dragonfly.signatures import SigningKey

KEY = SigningKey.from_bytes(b"k" * 32)
REQUEST = RegisterRequest(url="http://origin.example/f", key=KEY.public, peer=Announced(port=1))
YES = ControlAnswer(200, to_json(DirectAnswer(reason="why not")))


def busy(seconds: float) -> ControlAnswer:
    """Come again in ``seconds``."""
    body = ErrorBody(code=503, message="busy", retryable=True, retry_after=seconds)
    return ControlAnswer(503, to_json(body))


class Scene:
    """A supernode that gives these answers, the last one again and again."""

    def __init__(self, *answers: ControlAnswer) -> None:
        self.clock = Clock()
        self.at: list[float] = []
        self.results: list[Any] = []
        self._answers = list(answers)
        nodes = Supernodes(KEY, self, self.clock)  # type: ignore[arg-type]
        supernode = nodes.get(Node(host="node"))
        self.call = Deferred.fromCoroutine(supernode.register(REQUEST))
        self.call.addBoth(self.results.append)

    async def post_json(
        self, url: str, body: bytes, headers: Iterable[tuple[str, str]] = (), **_: object
    ) -> ControlAnswer:
        """The next answer."""
        assert url.startswith("https://node")
        self.at.append(self.clock.seconds())
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def error(self) -> BaseException:
        """What the call failed with."""
        [result] = self.results
        assert isinstance(result, Failure)
        return result.value


def test_it_comes_again_when_it_was_told() -> None:
    """And succeeds then."""
    scene = Scene(busy(7.0), busy(3.0), YES)
    scene.clock.pump([1.0] * 9)
    assert not scene.results
    scene.clock.advance(1.0)
    assert scene.results == [DirectAnswer(reason="why not")]
    assert scene.at == [0.0, 7.0, 10.0]


def test_patience_ends() -> None:
    """A supernode that is busy for ever is no help."""
    scene = Scene(busy(50.0))
    scene.clock.pump([10.0] * int(BUSY_PATIENCE_S / 10))
    assert isinstance(scene.error(), TrackerBusy)
    assert len(scene.at) == BUSY_PATIENCE_S / 50 + 1


def test_it_does_not_hammer() -> None:
    """Whatever the supernode says."""
    scene = Scene(busy(1e-9), YES)
    scene.clock.advance(BUSY_LEAST_S / 2)
    assert not scene.results
    scene.clock.advance(BUSY_LEAST_S / 2)
    assert scene.at == [0.0, BUSY_LEAST_S]


def test_a_no_is_a_no() -> None:
    """Nothing is repeated then."""
    body = ErrorBody(code=503, message="65536 peers are known, no more are taken")
    scene = Scene(ControlAnswer(503, to_json(body)))
    error = scene.error()
    assert isinstance(error, TrackerError)
    assert not isinstance(error, TrackerBusy)


def test_the_wait_can_be_cancelled() -> None:
    """Nothing is left behind."""
    scene = Scene(busy(9.0))
    scene.call.cancel()
    assert isinstance(scene.error(), CancelledError)
    assert not scene.clock.getDelayedCalls()


@pytest.mark.parametrize("seconds", [float("inf"), 1e9])
def test_a_time_that_is_too_far_off_is_not_waited_for(seconds: float) -> None:
    """It fails at once."""
    if seconds == float("inf"):
        raw = b'{"code": 503, "message": "m", "retry_after": Infinity}'
        assert isinstance(Scene(ControlAnswer(503, raw)).error(), TrackerError)
    else:
        assert isinstance(Scene(busy(seconds)).error(), TrackerBusy)
