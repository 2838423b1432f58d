"""A server that stops reading in the middle of an upload, and what dfdaemon does meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.rig.daemon import Dfdaemon
from tests.e2e.rig.files import MIB
from tests.e2e.rig.footprint import Footprint
from tests.e2e.rig.network import Host
from tests.e2e.rig.scene import Program
from tests.e2e.rig.way import Outcome

__all__ = ["held_up"]

_BEFORE = 4 * MIB  # arrived when the server stops: the upload is really under way
_SAME = 20  # looks, 20 ms apart, in which nothing moves any more


def held_up(
    send: Callable[[], Outcome],
    *,
    through: Dfdaemon,
    on: Host,
    to: Program,
    arriving: Callable[[], int],
) -> tuple[Outcome, Footprint]:
    """Send something to a server that stops in the middle until nothing moves any more.

    :param on: the host that dfdaemon is on.
    :param arriving: bytes that the server has got so far.
    :returns: what came of it, and dfdaemon's footprint.
    """
    footprint = Footprint(through.program.pid)
    begin = arriving()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(send)
        on.wait_until(lambda: running.done() or arriving() > begin + _BEFORE, "upload")
        with _stopped(to):
            _until_full(on, through.port, running.done)
        return running.result(), footprint


@contextmanager
def _stopped(program: Program) -> Iterator[None]:
    program.send(signal.SIGSTOP)
    try:
        yield
    finally:
        program.send(signal.SIGCONT)


def _until_full(host: Host, port: int, over: Callable[[], bool]) -> None:
    """Wait until what a client sends waits in the kernel, because dfdaemon reads no more."""
    seen: list[int] = []

    def full() -> bool:
        seen.append(_unread(host, port))
        assert not over(), "the upload was over before its server stopped"
        return len(seen) > _SAME and seen[-1] > 0 and len(set(seen[-_SAME:])) == 1

    host.wait_until(full, "end of reading")


def _unread(host: Host, port: int) -> int:
    """Bytes that came to a port of a host and were not read."""
    lines = Path(f"/proc/{host.pid}/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    suffix = f":{port:04X}"
    return sum(int(line[4].split(":")[1], 16) for line in fields if line[1].endswith(suffix))
