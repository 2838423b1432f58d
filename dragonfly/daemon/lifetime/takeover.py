"""Getting a home that a background peer of dfget serves: it is asked to end.

This happens before the reactor runs, so it is plain blocking code. The kernel's lock decides
who has the home; the conversation only makes the other one leave.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from dragonfly.daemon.lifetime.predecessor import Predecessor
from dragonfly.errors import HomeBusy
from dragonfly.peer.home.sockpath import socket_path

__all__ = ["DAEMON_ROLE", "TAKE_MOST_S", "TAKE_S", "ask", "ask_to_leave", "take_home"]

DAEMON_ROLE = "dfdaemon"
"""How a peer inside dfdaemon calls itself; it does not leave."""

TAKE_S = 15.0
"""A peer says goodbye to its supernodes and writes what it has; it is bounded by about 10 s. A
dfdaemon that hands over may have much to hash first, and says so all the time: this is how long
it may be silent."""

TAKE_MOST_S = 1800.0
"""Where it says so, and does not come to an end: to hash 100 GiB again that were read takes nine
minutes where a disk gives 200 MB/s, and some pulls may be under way at once."""

_ANSWER_S = 5.0
_ASK_EVERY_S = 1.0
_LOOK_EVERY_S = 0.02
_LINE_BYTES = 16 * 1024 * 1024

T = TypeVar("T")


def take_home(
    lock: Callable[[], T],
    home: Path,
    *,
    say: Callable[[str], None],
    before: Predecessor | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call ``lock`` until it gets the home, and give its result; who has the home is asked to
    end.

    :param lock: raises HomeBusy while another process has the home; all else is passed on.
    :param say: is told, in a line for the log, whom we wait for.
    :param before: a dfdaemon that gives it up when it is asked; without, one stays.
    :raises HomeBusy: another dfdaemon has it, or it was not given up in :data:`TAKE_S`
        seconds, or in :data:`TAKE_MOST_S` by a predecessor that works at it; the text names
        the process.
    """
    if before is not None:
        before.free()
    began = clock()
    deadline, last, ask_at, holder = began + TAKE_S, began + TAKE_MOST_S, began, ""
    while True:
        try:
            return lock()
        except HomeBusy:
            if clock() >= deadline:
                who, took_s = holder or _written(home), clock() - began
                raise HomeBusy(
                    f"the home {home} is held by {who}, which did not leave it in {took_s:.0f} s"
                ) from None
        if before is not None and before.at_work():
            deadline = min(clock() + TAKE_S, last)
        elif clock() >= ask_at:
            known, holder = holder, _asked(home, before) or holder
            if holder != known:
                say(f"the home {home} is in use: asked {holder} to end")
            ask_at = clock() + _ASK_EVERY_S
        sleep(_LOOK_EVERY_S)


def _asked(home: Path, before: Predecessor | None) -> str:
    """Ask a peer of dfget, which may have been quicker than we after a predecessor."""
    try:
        return ask_to_leave(home)
    except HomeBusy:
        if before is None:
            raise
        return ""


def ask_to_leave(home: Path) -> str:
    """Ask who listens there to end, which may block; give its name, or nothing if nobody
    answers.

    :raises HomeBusy: it is another dfdaemon.
    """
    status = ask(home, "status")
    if status is None:
        return ""
    pid = status.get("pid")
    if status.get("role") == DAEMON_ROLE:
        raise HomeBusy(
            f"another dfdaemon, process {pid}, has the home {home}: "
            "stop it, replace it with --takeover, or give this one a --workHome of its own"
        )
    ask(home, "stop")
    return f"process {pid}"


def _written(home: Path) -> str:
    """The holder as the lock file names it."""
    try:
        return f"process {int((home / 'lock').read_text())}"
    except (OSError, ValueError):
        return "another process"


def ask(home: Path, op: str) -> dict[str, Any] | None:
    """Ask the peer of a home something that it answers with one line; ``None``: no answer."""
    try:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as sock:
            sock.settimeout(_ANSWER_S)
            sock.connect(str(socket_path(home)))
            sock.sendall(json.dumps({"op": op}).encode() + b"\n")
            with sock.makefile("rb") as lines:
                answer = json.loads(lines.readline(_LINE_BYTES))
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None
