"""Content to one client while it is being fetched: paced by the client, and never a short body."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import pytest

from dragonfly.errors import OriginChanged, OriginUnreachable, StoreError
from dragonfly.supernode.api.stream import BLOCK_BYTES, PATIENCE_S, WRITE_BYTES
from dragonfly.supernode.content import State
from tests.doubles.api import TASK, ApiLab
from tests.doubles.cdn import PIECE, content_of
from tests.doubles.http import HttpCall

BODY = content_of(4 * PIECE + 1)
LONG = content_of(6 * BLOCK_BYTES, seed=3)


def ask(lab: ApiLab, **more: Any) -> HttpCall:
    """A client that may have it."""
    return lab.call("GET", lab.path, headers=lab.shown(), **more)


def held(lab: ApiLab) -> Any:
    """The content in memory."""
    content = lab.cdn.cdn.get(TASK)
    assert content is not None
    return content


# -- while it is fetched -------------------------------------------------------------------------


@pytest.mark.parametrize("announce", [True, False])
def test_follows_the_fetch(tmp_path: Path, announce: bool) -> None:
    """Each piece goes out when it is held; the end comes with the last one."""
    body = BODY if announce else content_of(2 * 1024 * 1024 + 1)
    lab = ApiLab(tmp_path, body=body, silent=True, announce=announce)
    content = lab.cdn.obtain()
    size = content.piece_size
    call = ask(lab)
    assert body[:10] not in call.received
    lab.cdn.reader.give(size + 5)
    lab.cdn.tick()
    call.pump()
    assert body[size - 10 : size] in call.received
    assert body[size : size + 5] not in call.received
    lab.cdn.reader.give(len(body))
    lab.cdn.settle(content)
    call.pump()
    answer = call.answer()
    assert answer.body == body
    assert ("content-length" in answer.headers) == announce
    assert not content.watched


def test_a_range_of_what_is_not_there_yet(tmp_path: Path) -> None:
    """It waits for its bytes, and needs nothing behind them."""
    lab = ApiLab(tmp_path, body=BODY, silent=True)
    lab.cdn.obtain()
    shown = {**lab.shown(), "Range": f"bytes={PIECE}-{2 * PIECE - 1}"}
    call = lab.call("GET", lab.path, headers=shown)
    lab.cdn.reader.give(2 * PIECE)
    lab.cdn.tick()
    call.pump()
    assert (call.answer().status, call.answer().body) == (206, BODY[PIECE : 2 * PIECE])
    assert held(lab).state is State.FETCHING
    assert not held(lab).watched
    lab.cdn.stop()


@pytest.mark.parametrize("announce", [True, False])
@pytest.mark.parametrize("error", [OriginUnreachable("gone"), OriginChanged("changed")])
def test_a_fetch_that_fails(tmp_path: Path, announce: bool, error: Exception) -> None:
    """The connection is cut: no client takes a part for the whole, chunked or not."""
    body = content_of(2 * 1024 * 1024)
    lab = ApiLab(tmp_path, body=body, silent=True, announce=announce)
    content = lab.cdn.obtain()
    call = ask(lab)
    lab.cdn.reader.give(1024 * 1024)
    lab.cdn.tick()
    call.pump()
    lab.cdn.reader.errors = [error for _ in range(20)]
    lab.cdn.tick(31.0)  # the transfer stalls
    lab.cdn.settle(content)
    call.pump()
    assert content.state is State.FAILED
    assert call.cut
    with pytest.raises(http.client.IncompleteRead):
        call.answer()
    assert not content.watched


def test_nothing_of_a_version_that_ended(tmp_path: Path) -> None:
    """What was read for a slow client before a change is not sent: its file is another's soon."""
    lab = ApiLab(tmp_path, body=LONG, silent=True)
    content = lab.cdn.obtain()
    lab.cdn.reader.give(3 * BLOCK_BYTES)
    lab.cdn.tick()
    call = ask(lab, read=False)
    lab.cdn.reader.etag = '"v2"'
    lab.cdn.tick(31.0)
    lab.cdn.settle(content)
    assert isinstance(content.error, OriginChanged)
    assert call.cut
    assert len(call.received) < BLOCK_BYTES


# -- the client's pace ----------------------------------------------------------------------


def test_a_slow_client_is_not_run_over(tmp_path: Path) -> None:
    """No more is read from disk than a block ahead; all of it comes when the client reads."""
    lab = ApiLab(tmp_path, body=LONG)
    lab.cdn.fetch()
    call = ask(lab, read=False)
    assert call.server.peak <= 1024 * 1024
    for _ in range(3):
        call.go_on(100_000)
        assert call.server.peak <= 1024 * 1024
    call.go_on()
    assert call.answer().body == LONG
    assert call.server.pauses > 3
    assert not held(lab).watched


def test_a_block_is_offered_to_the_kernel_at_once(tmp_path: Path) -> None:
    """By Twisted's own limit each block would take two turns of the reactor."""
    lab = ApiLab(tmp_path, body=LONG)
    lab.cdn.fetch()
    call = ask(lab)
    assert call.server.SEND_LIMIT == WRITE_BYTES  # type: ignore[attr-defined]


def test_a_client_that_takes_nothing(tmp_path: Path) -> None:
    """It is cut off after a while, or it would hold everything for ever."""
    lab = ApiLab(tmp_path, body=LONG)
    lab.cdn.fetch()
    call = ask(lab, read=False)
    lab.clock.advance(PATIENCE_S - 1)
    assert not call.cut
    lab.clock.advance(2)
    assert call.cut
    assert not held(lab).watched
    assert lab.clock.getDelayedCalls() == []


def test_a_client_that_takes_a_little(tmp_path: Path) -> None:
    """Whoever goes on reading keeps the connection."""
    lab = ApiLab(tmp_path, body=LONG)
    lab.cdn.fetch()
    call = ask(lab, read=False)
    for _ in range(5):
        lab.clock.advance(PATIENCE_S - 1)
        call.go_on(500_000)
    assert not call.cut
    call.go_on()
    assert call.answer().body == LONG


@pytest.mark.parametrize("moment", ["waiting", "paused"])
def test_a_client_that_leaves(tmp_path: Path, moment: str) -> None:
    """The fetch goes on; nothing of the client is left behind."""
    lab = ApiLab(tmp_path, body=LONG, silent=True)
    content = lab.cdn.obtain()
    call = ask(lab, read=moment == "waiting")
    if moment == "paused":
        lab.cdn.reader.give(3 * BLOCK_BYTES)
        lab.cdn.tick()
    assert content.watched
    call.hang_up()
    assert not content.watched
    lab.cdn.reader.give(len(LONG))
    lab.cdn.settle(content)
    assert content.state is State.READY
    assert lab.cdn.read(content) == LONG


def test_a_client_that_leaves_while_the_disk_reads(tmp_path: Path) -> None:
    """The job runs to its end, and its bytes go nowhere."""
    lab = ApiLab(tmp_path, body=LONG)
    content = lab.cdn.fetch()
    lab.cdn.threads.direct = False
    call = ask(lab)
    assert content.file is not None
    assert content.file.in_use
    call.hang_up()
    lab.cdn.threads.run()
    assert not content.file.in_use
    assert not content.watched


def test_a_disk_that_cannot_be_read(tmp_path: Path) -> None:
    """The client is cut off before it is told that anything would come."""
    lab = ApiLab(tmp_path, body=LONG)
    content = lab.cdn.fetch()
    file: Any = content.file

    def refuse(offset: int, length: int) -> bytes:
        raise StoreError(f"{offset} {length}: input/output error")

    file.read = refuse
    call = ask(lab)
    assert call.cut
    assert call.received == b""
    assert not content.watched


def test_one_connection_for_several(tmp_path: Path) -> None:
    """After a whole answer the connection serves the next request."""
    lab = ApiLab(tmp_path, body=BODY)
    lab.cdn.fetch()
    call = ask(lab)
    assert call.answer().body == BODY
    assert not call.cut
    call.client.write(b"GET /_ping HTTP/1.1\r\nHost: supernode\r\n\r\n")
    call.pump()
    assert call.received.endswith(b"OK")


def test_http_1_0(tmp_path: Path) -> None:
    """An old client gets a body that ends with the connection."""
    lab = ApiLab(tmp_path, body=BODY, announce=False)
    lab.cdn.fetch()
    call = ask(lab, version="1.0")
    assert call.answer().body == BODY
    assert call.cut
