"""curl: single requests, and what exactly came back."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import attrs

from tests.e2e.rig.commands import environment
from tests.e2e.rig.registry import needed
from tests.e2e.rig.scene import Program, Scene

__all__ = ["Answer", "Curl"]


@attrs.frozen(kw_only=True)
class Answer:
    """What came back.

    :ivar code: curl's exit code: 18 is a body that was cut, 52 no answer at all.
    :ivar status: 0: none.
    :ivar headers: names in lower case, in the order they came.
    """

    code: int
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The values of a header, joined; ``None`` if it did not come."""
        found = [value for key, value in self.headers if key == name]
        return ", ".join(found) if found else None

    def only(self, *names: str) -> tuple[object, ...]:
        """Exit code, status, these headers, and the body: what is compared."""
        return (self.code, self.status, *(self.header(name) for name in names), self.body)


class Curl:
    """Runs of curl without a proxy or a configuration of its user."""

    def __init__(self, scene: Scene) -> None:
        needed("curl")
        self._scene = scene
        self._work = scene.directory("curl")
        self._numbers = itertools.count(1)

    def get(self, url: str, *flags: str, seconds: float = 30) -> Answer:
        """Ask, and wait for the end of the answer."""
        number = next(self._numbers)
        head, body = (self._work / f"{number}-{what}" for what in ("head", "body"))
        where = ["--dump-header", str(head), "--output", str(body)]
        done = subprocess.run(
            [*self._command(), *where, "--max-time", str(seconds), *flags, url],
            capture_output=True,
            env=environment(),
            check=False,
        )
        status, headers = parsed(head.read_bytes() if head.exists() else b"")
        # With --head curl writes the headers there once more.
        data = body.read_bytes() if body.exists() and "--head" not in flags else b""
        return Answer(code=done.returncode, status=status, headers=headers, body=data)

    def start(self, url: str, out: Path, *flags: str) -> Program:
        """Start to write a body to a file."""
        name = f"curl-{next(self._numbers)}"
        return self._scene.start(name, [*self._command(), "--output", str(out), *flags, url])

    @staticmethod
    def _command() -> list[str]:
        return ["curl", "--disable", "--silent", "--show-error", "--noproxy", "*"]


def parsed(head: bytes) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Status and headers of the last answer in what ``--dump-header`` wrote."""
    blocks = [block for block in head.decode("latin-1").split("\r\n\r\n") if block]
    if not blocks:
        return 0, ()
    first, *lines = blocks[-1].split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split()[1]), tuple((name.lower(), value.strip()) for name, _, value in pairs)
