"""The clock, and conversations over Unix sockets."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from labrig.clock import Clock, Due
from labrig.talk import CommandTalk, SocketTalk, ask

LAYOUT = {"event": "layout", "path": "/some/where", "length": 10}


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Callable[[list[bytes]], Path]]:
    """Start something that answers one line with these chunks and hangs up at the end."""
    threads: list[threading.Thread] = []

    def start(chunks: list[bytes]) -> Path:
        path = tmp_path / f"sock{len(threads)}"
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen(1)
        threads.append(threading.Thread(target=answer, args=(server, chunks)))
        threads[-1].start()
        return path

    def answer(server: socket.socket, chunks: list[bytes]) -> None:
        client, _ = server.accept()
        with server, client, suppress(OSError):  # the other side may hang up first
            client.recv(4096)
            for chunk in chunks:
                client.sendall(chunk)
                time.sleep(0.02)

    yield start
    for thread in threads:
        thread.join(10)


def lines(*events: dict[str, Any]) -> bytes:
    """Events as they travel."""
    return b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events)


def run(*talks: Any, limit_s: float = 10.0, dues: tuple[Due, ...] = ()) -> Clock:
    """Let these downloads happen."""
    clock = Clock()
    begins = [Due(0.0, talk.begin) for talk in talks]
    clock.run(talks, [], [*begins, *dues], limit_s=limit_s, on_tick=lambda _: None)
    for talk in talks:
        talk.finish()
    return clock


def test_a_download_is_followed_to_its_end(peer: Callable[[list[bytes]], Path]) -> None:
    """However the events are cut into reads."""
    text = lines(
        LAYOUT,
        {"event": "notice", "text": "look"},
        {"event": "ranges", "ranges": [[0, 5]], "bytes": {"cdn": 5}},
        {"event": "done", "bytes": {"cdn": 5, "peers": 5}},
    )
    chunks = [text[at : at + 50] for at in range(0, len(text), 50)]
    talk = SocketTalk(peer(chunks), {"op": "get"})
    clock = run(talk)
    assert talk.error == ""
    assert talk.over_s is not None
    assert 0 < talk.over_s <= clock.seconds
    assert talk.file() == Path("/some/where")
    assert talk.origins() == {"cdn": 5, "peers": 5}
    assert [count for _, count in talk.progress()] == [5, 10]
    assert talk.notices() == ["look"]


def test_the_end_is_the_end_of_its_line(peer: Callable[[list[bytes]], Path]) -> None:
    """A chunk may end between the event's name and its bytes."""
    text = lines({"event": "done", "bytes": {"peers": 10}})
    talk = SocketTalk(peer([text[:10], text[10:30], text[30:]]), {"op": "get"})
    run(talk)
    assert talk.origins() == {"peers": 10}


def test_a_failure_says_why(peer: Callable[[list[bytes]], Path]) -> None:
    """In the words of the peer."""
    talk = SocketTalk(peer([lines({"event": "failed", "error": "no", "bytes": {}})]), {})
    run(talk)
    assert talk.error == "no"


def test_a_broken_conversation_is_a_failure(peer: Callable[[list[bytes]], Path]) -> None:
    """The peer was killed."""
    talk = SocketTalk(peer([lines(LAYOUT)]), {})
    run(talk)
    assert talk.error == "hung up"


def test_the_limit_ends_the_run(peer: Callable[[list[bytes]], Path]) -> None:
    """A peer that never ends does not end the lab."""
    talk = SocketTalk(peer([b" "] * 40), {})
    run(talk, limit_s=0.1)
    assert talk.over_s is None
    assert talk.error == "not finished"


def test_deeds_are_done_at_their_time(peer: Callable[[list[bytes]], Path]) -> None:
    """Not before, and once."""
    done: list[float] = []
    start = time.monotonic()
    talk = SocketTalk(peer([b" "] * 10), {})
    run(talk, dues=(Due(0.1, lambda: done.append(time.monotonic() - start)),))
    assert len(done) == 1
    assert done[0] >= 0.1


def test_a_command_is_over_when_it_ends(tmp_path: Path) -> None:
    """Its pipe says so; its exit code tells how."""
    out = tmp_path / "out"
    good = CommandTalk(["sh", "-c", f"echo 12345 >{out}"], out)
    bad = CommandTalk(["false"], out)
    run(good, bad)
    assert (good.error, bad.error) == ("", "ended with 1")
    assert good.progress()[-1][1] == 6
    assert good.file() == out
    assert good.origins() == {"origin": 6}


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    """Nothing of a run outlives it."""
    talk = CommandTalk(["sleep", "60"], tmp_path / "none")
    run(talk, limit_s=0.05)
    assert talk.error == "not finished"
    assert talk.origins() == {}


def test_a_question_is_answered(peer: Callable[[list[bytes]], Path]) -> None:
    """Events of other kinds are passed over."""
    path = peer([lines({"event": "notice"}, {"event": "status", "clients": 1})])
    assert ask(path, {"op": "status"}, ("status",))["clients"] == 1


def test_no_answer_is_an_error(peer: Callable[[list[bytes]], Path]) -> None:
    """Who hangs up has not answered."""
    with pytest.raises(ConnectionResetError):
        ask(peer([]), {"op": "status"}, ("status",))
