"""What the CDN says of a task: pieces count once they are signed, and never before."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from dragonfly.control.messages import Validator
from dragonfly.errors import NoSources
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.supernode.content import ACCESSES_MAX, Accesses, Content, State
from dragonfly.supernode.questions import Access
from dragonfly.task.manifest import RUN_DIGESTS, Manifest, Run, parse_run
from tests.doubles.cdn import PIECE

KEY = SigningKey.from_bytes(b"\1" * 32)
RING = KeyRing([KEY.public])


def make(length: int | None) -> Content:
    """A content of which nothing came yet."""
    task = b"T" * 32
    return Content(
        id=task,
        name=b"n" * 32,
        url="http://origin.example/f",
        fetch=7,
        manifest=Manifest(task, 7, PIECE, length),
        validator=Validator(etag='"v1"'),
    )


def digest(piece: int) -> bytes:
    """A digest that names its piece."""
    return piece.to_bytes(32, "big")


def parsed(runs: Sequence[bytes]) -> list[Run]:
    """The runs, checked."""
    return [parse_run(raw, RING) for raw in runs]


@attrs.define(eq=False)
class Listener:
    """Notes what it is told, and may leave while it is told."""

    seen: list[tuple[int, int]] = attrs.field(factory=list)
    ends: list[State] = attrs.field(factory=list)
    leave: bool = False

    def content_grew(self, content: Content, runs: Sequence[bytes]) -> None:
        """Note how many runs came, and how many pieces are held now."""
        self.seen.append((len(runs), content.held))
        if self.leave:
            content.unlisten(self)

    def content_settled(self, content: Content) -> None:
        """Note the end."""
        self.ends.append(content.state)


# -- signing ----------------------------------------------------------------------------------


def test_signed_pieces_are_held() -> None:
    """A digest alone gives nothing out; its run does, and tells the listeners."""
    content, listener = make(10 * PIECE), Listener()
    content.listen(listener)
    for piece in range(3):
        content.add_digest(digest(piece))
    assert (content.held, content.unsigned, content.signed_digest(2)) == (0, 3, digest(2))
    (run,) = parsed(content.sign(KEY))
    assert (run.first, run.digests, run.length) == (0, tuple(map(digest, range(3))), 10 * PIECE)
    assert (content.held, content.held_bytes) == (3, 3 * PIECE)
    assert listener.seen == [(1, 3)]
    assert content.sign(KEY) == []
    assert listener.seen == [(1, 3)]


def test_the_last_can_wait() -> None:
    """The last piece is kept back until the whole was checked."""
    content = make(2 * PIECE)
    for piece in range(2):
        content.add_digest(digest(piece))
    content.sign(KEY, keep=1)
    assert (content.held, content.manifest.complete) == (1, False)
    assert content.signed_digest(1) == digest(1)
    (run,) = parsed(content.sign(KEY, end=2 * PIECE))
    assert (run.first, run.length) == (1, 2 * PIECE)
    assert (content.held, content.manifest.complete) == (2, True)


def test_long_batches_are_several_runs() -> None:
    """A run has at most 256 digests."""
    content = make(1000 * PIECE)
    for piece in range(2 * RUN_DIGESTS + 1):
        content.add_digest(digest(piece))
    runs = parsed(content.sign(KEY))
    assert [len(run.digests) for run in runs] == [256, 256, 1]
    assert [run.first for run in runs] == [0, 256, 512]


def test_unknown_length_ends_with_a_run() -> None:
    """If the last piece was signed before the end was known, a run without digests says it."""
    content = make(None)
    content.add_digest(digest(0))
    assert parsed(content.sign(KEY))[0].length is None
    assert (content.length, content.held_bytes) == (None, PIECE)
    (end,) = parsed(content.sign(KEY, end=PIECE))
    assert (end.first, end.digests, end.length) == (1, (), PIECE)
    assert content.manifest.complete
    assert content.sign(KEY, end=PIECE) == []


def test_announced_length() -> None:
    """What the transfer told counts at once, and the next run tells it to the swarm."""
    content = make(None)
    content.announce_length(PIECE + 1)
    content.add_digest(digest(0))
    assert parsed(content.sign(KEY))[0].length == PIECE + 1
    assert content.layout.piece_count == 2


def test_more_signed_than_verified() -> None:
    """After a restart the manifest may know pieces that are not good on disk: not held."""
    content = make(4 * PIECE)
    for piece in range(4):
        content.add_digest(digest(piece))
    content.sign(KEY)
    content.held = 0  # as if just loaded
    content.hold(1)
    assert content.sign(KEY) == []
    assert content.held == 1


# -- listeners and the end ----------------------------------------------------------------------


def test_a_listener_may_leave_while_it_is_told() -> None:
    """Nobody else misses anything by it."""
    content, leaving, staying = make(3 * PIECE), Listener(leave=True), Listener()
    content.listen(leaving)
    content.listen(staying)
    for piece in range(2):
        content.add_digest(digest(piece))
        content.sign(KEY)
    assert (len(leaving.seen), len(staying.seen)) == (1, 2)
    content.unlisten(leaving)
    assert content.watched
    content.unlisten(staying)
    assert not content.watched


def test_settle_and_restart() -> None:
    """A failure drops what waited and all credentials; the next try may wait again."""
    content, listener = make(PIECE), Listener()
    content.listen(listener)
    content.accesses.add(access(1), 10.0)
    content.add_digest(digest(0))
    ends: list[State] = []
    content.done.wait().addCallback(ends.append)
    content.settle(NoSources("none"))
    assert (ends, listener.ends) == ([State.FAILED], [State.FAILED])
    assert (content.unsigned, content.accesses.best(0.0)) == (0, None)
    content.restart()
    assert (content.state, content.error) == (State.FETCHING, None)
    content.done.wait().addCallback(ends.append)
    content.settle()
    assert ends == [State.FAILED, State.READY]


# -- ways to the origin ---------------------------------------------------------------------------


def access(number: int) -> Access:
    """One caller's way."""
    return Access(url="http://origin.example/f", key=bytes([number]) * 32)


def test_newest_access_first() -> None:
    """The newest way is used; one that was dropped or has expired is not."""
    known = Accesses()
    known.add(access(1), until=100.0)
    known.add(access(2), until=50.0)
    assert known.best(0.0) == access(2)
    assert known.best(60.0) == access(1)
    known.drop(access(1))
    assert known.best(60.0) is None


def test_accesses_are_bounded() -> None:
    """A thousand callers leave the newest few."""
    known = Accesses()
    for number in range(ACCESSES_MAX + 5):
        known.add(access(number), until=1.0)
    for number in range(5, ACCESSES_MAX + 5):
        known.drop(access(number))
    assert known.best(0.0) is None
