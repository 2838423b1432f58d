"""The factory: counting, draining, aborting."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.net.tls import load_or_make_certificate
from tests.doubles.front import Answers, bodies, join

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def answers() -> Answers:
    """Given by hand."""
    return Answers()


@pytest.fixture
def front(answers: Answers) -> FrontFactory:
    """A factory."""
    return FrontFactory(answers, clock=Clock(), limits=FrontLimits(connections=3))


def test_open(front: FrontFactory) -> None:
    """Connections are counted until they are lost."""
    one, two = join(front), join(front)
    assert front.open == 2
    one.hang_up()
    two.hang_up()
    assert front.open == 0


def test_full(front: FrontFactory) -> None:
    """One connection too many is told so."""
    ends = [join(front) for _ in range(4)]
    assert bodies(ends[3].got)[0][0] == 503
    assert [end.got for end in ends[:3]] == [b""] * 3
    for end in ends:
        end.hang_up()


def test_more_than_full(front: FrontFactory) -> None:
    """Telling takes a connection, too: there is an end to that."""
    ends = [join(front) for _ in range(6)]
    assert front.buildProtocol(None) is None
    ends[0].hang_up()
    assert front.buildProtocol(None) is not None
    for end in ends[1:]:
        end.hang_up()


def test_drain(front: FrontFactory, answers: Answers) -> None:
    """Idle ones close now, busy ones after their answer, which says so."""
    idle, busy, begun = join(front), join(front), join(front)
    busy.send(GET + GET)
    begun.send(GET[:5])
    drained = front.drain()
    assert idle.state == "closed"
    assert busy.state == begun.state == "open"
    assert front.buildProtocol(None) is None
    answers.give(b"last")
    assert b"\r\nConnection: close\r\n" in busy.got
    assert busy.state == "half closed"  # the second request lies unread
    assert not drained.called
    busy.hang_up()
    begun.send(GET[5:])
    answers.give(b"really")
    assert begun.state == "half closed"  # the client might be sending another one just now
    begun.hang_up()
    assert drained.called


def test_drain_in_the_middle_of_an_answer(front: FrontFactory, answers: Answers) -> None:
    """An answer that has begun goes to its end, and then the connection closes."""
    busy = join(front)
    busy.send(GET)
    answers.last.start(200, ())
    front.drain()
    answers.last.write(b"abc")
    answers.last.finish()
    assert busy.got.endswith(b"3\r\nabc\r\n0\r\n\r\n")
    assert busy.state == "half closed"
    busy.hang_up()
    answers.release()


def test_drain_behind_a_full_pipe(front: FrontFactory, answers: Answers) -> None:
    """An answer that the client is still reading is waited for as well."""
    busy = join(front, room=10)
    busy.send(GET)
    answers.give(b"x" * 100)
    drained = front.drain()
    assert not drained.called
    busy.read()
    busy.hang_up()
    assert drained.called
    assert busy.got.endswith(b"x" * 100)


def test_drain_empty(front: FrontFactory) -> None:
    """Nothing to wait for."""
    assert front.drain().called


def test_cancelling_the_wait(front: FrontFactory, answers: Answers) -> None:
    """It ends this wait and nothing else."""
    busy = join(front)
    busy.send(GET)
    first, second = front.drain(), front.drain()
    ended: list[object] = []
    first.addErrback(lambda failure: ended.append(failure.type))
    first.cancel()
    assert ended == [CancelledError]
    answers.give(b"x")
    assert busy.got.endswith(b"x")
    busy.hang_up()
    assert isinstance(second, Deferred)
    assert second.called


def test_abort(front: FrontFactory, answers: Answers) -> None:
    """All are cut; who answers learns that the client is gone."""
    idle, busy = join(front), join(front)
    busy.send(GET)
    gone: list[str] = []
    answers.last.on_gone(lambda: gone.append("gone"))
    drained = front.drain()
    front.abort()
    assert (idle.state, busy.state) == ("closed", "aborted")
    assert gone == ["gone"]
    assert drained.called
    answers.release()


def test_drained_is_told_last(front: FrontFactory, answers: Answers) -> None:
    """When the wait for the last connection ends, its answer knows already that it is over."""
    busy = join(front)
    busy.send(GET)
    responder = answers.last
    over: list[bool] = []
    front.drain().addCallback(lambda _: over.append(responder.over))
    busy.hang_up()
    assert over == [True]
    answers.release()
    assert busy.got == b""


def test_again_after_draining(front: FrontFactory) -> None:
    """A factory that is started again takes connections again."""
    front.drain()
    front.doStart()
    end = join(front)
    assert front.open == 1
    assert not front.drain().called or end.gone


@pytest.mark.parametrize("sent", [b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_tls_that_does_not_go_on(tmp_path: Path, sent: bytes) -> None:
    """A handshake has as long as a head has; it counts as one connection."""
    clock, limits = Clock(), FrontLimits(head_s=5, connections=1)
    tls = load_or_make_certificate(tmp_path).options()
    front = FrontFactory(Answers(), clock=clock, limits=limits, tls=tls)
    end = join(front)
    end.send(sent)
    assert front.open == 1
    assert end.got == b""
    clock.advance(4.9)
    assert not end.gone
    clock.advance(0.1)
    assert end.gone
    assert front.open == 0
    assert clock.getDelayedCalls() == []


def test_plain_http_beside_tls(tmp_path: Path) -> None:
    """The first byte tells."""
    answers = Answers()
    tls = load_or_make_certificate(tmp_path).options()
    front = FrontFactory(answers, clock=Clock(), tls=tls)
    end = join(front)
    end.send(GET)
    answers.give(b"x")
    assert bodies(end.got) == [(200, b"x")]
    end.hang_up()
