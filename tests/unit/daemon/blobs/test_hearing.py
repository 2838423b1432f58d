"""What is heard of a download, and how long a client waits for it."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from dragonfly.daemon.blobs.hearing import BEGIN_S, HUNGRY_S, PART_S, SILENCE_S, Hearing
from dragonfly.daemon.blobs.outlet import Outlet
from dragonfly.daemon.log.note import Note
from dragonfly.errors import NoSources
from dragonfly.peer.download.request import FetchRequest
from tests.doubles.blob import FakeDownload
from tests.doubles.responding import HeardResponder, request

BODY = b"x" * 100_000


class Setup:
    """A download, and who listens to it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.note = Note(method="GET", target="/", client="192.0.2.7")
        self.download = FakeDownload(FetchRequest(url="https://a/b"), BODY)
        self.hearing = Hearing(self.clock, self.note)
        responder = HeardResponder(request())
        responder.start(200, ())
        self.outlet = Outlet(responder, self.clock, end=len(BODY), whole=False)
        self.outlet.open()

    def limit_s(self, *, part: bool = False) -> float:
        """As things stand."""
        return self.hearing.limit_s(self.outlet, part=part)


@pytest.fixture
def setup() -> Setup:
    """A fresh one."""
    return Setup()


def test_there_is_something_to_read(setup: Setup) -> None:
    """Now or later; a second layout is no news."""
    waiting = setup.hearing.layout(setup.download)
    assert not waiting.called
    assert not setup.hearing.known
    setup.download.know(length=False)
    assert waiting.called
    assert setup.hearing.has_layout(setup.download)
    setup.download.know()
    assert setup.hearing.layout(setup.download).called


def test_there_never_will_be(setup: Setup) -> None:
    """The reason is the download's."""
    waiting = setup.hearing.layout(setup.download)
    setup.download.fail(NoSources("nobody"))
    caught: list[BaseException] = []
    waiting.addErrback(lambda failure: caught.append(failure.value))
    assert [str(error) for error in caught] == ["nobody"]
    assert not setup.hearing.known


def test_a_restart_takes_the_layout_away(setup: Setup) -> None:
    """Somebody knows the content all the same."""
    setup.hearing.layout(setup.download)
    setup.download.know()
    setup.download.restart()
    assert setup.hearing.known
    assert not setup.hearing.has_layout(setup.download)


@pytest.mark.parametrize("cancelled", [False, True])
def test_nobody_waits_any_more(setup: Setup, cancelled: bool) -> None:
    """What comes then is for nobody."""
    waiting = setup.hearing.layout(setup.download)
    if cancelled:
        waiting.addErrback(lambda failure: failure.trap(CancelledError) and None)
        waiting.cancel()
    else:
        setup.hearing.stop()
    setup.download.know()
    assert waiting.called is cancelled
    assert not setup.hearing.known


def test_what_it_says_is_noted(setup: Setup) -> None:
    """As the reason, should it not help."""
    setup.hearing.layout(setup.download)
    setup.download.notice("no supernode")
    assert setup.note.why == "no supernode"


def test_how_long_a_client_waits(setup: Setup) -> None:
    """For a word, for a piece while others come, and for any at all."""
    assert setup.limit_s() == BEGIN_S
    setup.hearing.layout(setup.download)
    setup.download.know()
    assert setup.limit_s() == HUNGRY_S
    setup.clock.advance(SILENCE_S - 1)
    setup.hearing.on_ranges([(0, 1)])
    setup.clock.advance(SILENCE_S - 1)
    assert setup.limit_s() == HUNGRY_S
    setup.clock.advance(1)
    assert setup.limit_s() == SILENCE_S


def test_who_asks_for_a_part_waits_less(setup: Setup) -> None:
    """But only for its first byte."""
    assert setup.limit_s(part=True) == PART_S
    setup.outlet.write(b"x")
    assert setup.limit_s(part=True) == BEGIN_S
