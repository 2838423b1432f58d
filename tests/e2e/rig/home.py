"""Homes of dfget: the command as it is typed, and the peer process behind it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from dragonfly.peer.home.sockpath import socket_path
from tests.e2e.rig.commands import dfget
from tests.e2e.rig.scene import Program, Scene, gone

__all__ = ["Home", "Outcome", "Running"]

_LAST = re.compile(
    r"^download (SUCCESS|FAIL\((\d+)\)) cost:([\d.]+)s length:(\d+) reason:(\d+)(?: error:(.*))?$",
    re.MULTILINE,
)


@attrs.frozen(kw_only=True)
class Outcome:
    """How one run of dfget ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def text(self) -> str:
        """Everything it printed."""
        return self.stdout + self.stderr

    @property
    def error(self) -> str:
        """The error of the last line, empty after a success."""
        return self._last[5] or ""

    @property
    def length(self) -> int:
        """The length of the last line."""
        return int(self._last[3])

    @property
    def reason(self) -> int:
        """The reason of the last line."""
        return int(self._last[4])

    @property
    def _last(self) -> tuple[str, ...]:
        found: list[tuple[str, ...]] = _LAST.findall(self.text)
        assert len(found) == 1, f"there is not one final line in:\n{self.text}"
        return found[0]

    def succeeded(self) -> Outcome:
        """Check that it did, and give itself."""
        assert self.code == 0, self._shown()
        assert self._last[0] == "SUCCESS", self._shown()
        return self

    def failed(self, code: int) -> Outcome:
        """Check that it did, with one line that says so with this code, and give itself."""
        assert self.code == code, self._shown()
        assert self._last[0] == f"FAIL({code})", self._shown()
        assert "Traceback" not in self.text, self._shown()
        return self

    def _shown(self) -> str:
        return f"dfget ended with {self.code} after {self.seconds:.1f} s:\n{self.text}"


class Running:
    """A dfget that was started."""

    def __init__(self, scene: Scene, program: Program, out: Path) -> None:
        self._scene = scene
        self.program = program
        self.out = out
        self._began = time.monotonic()

    def outcome(self, seconds: float = 60.0) -> Outcome:
        """Wait for its end.

        :raises AssertionError: it did not end in time; the text has the logs.
        """
        try:
            code = self.program.wait(seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._scene.logs()}") from None
        return Outcome(
            code=code,
            stdout=self.out.read_text(errors="replace"),
            stderr=self.program.text(),
            seconds=time.monotonic() - self._began,
        )


class Home:
    """A home directory, whose peer process is ended with the scene.

    :param nodes: of ``--node``; none: the option is not given.
    """

    def __init__(self, scene: Scene, name: str, *nodes: str) -> None:
        self._scene = scene
        self._name = name
        self._nodes = nodes
        self._runs = 0
        self.path = scene.root / name
        scene.at_end(self.stop)

    def start(self, *arguments: str | Path, cwd: Path | None = None) -> Running:
        """Start dfget with these arguments."""
        self._runs += 1
        command = [*dfget(), "--home", str(self.path)]
        command += [flag for node in self._nodes for flag in ("--node", node)]
        command += [str(argument) for argument in arguments]
        name = f"{self._name}-dfget-{self._runs}"
        out = self._scene.root / f"{name}-out.log"
        program = self._scene.start(name, command, out=out, cwd=cwd)
        return Running(self._scene, program, out)

    def get(
        self, *arguments: str | Path, cwd: Path | None = None, seconds: float = 60.0
    ) -> Outcome:
        """Run dfget with these arguments to its end."""
        return self.start(*arguments, cwd=cwd).outcome(seconds)

    def ask(self, op: str) -> dict[str, Any] | None:
        """What the peer process answers to ``ping`` or ``status``; ``None`` if there is none."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            try:
                link.connect(str(socket_path(self.path)))
                link.sendall(json.dumps({"op": op}).encode() + b"\n")
                with link.makefile("rb") as lines:
                    return dict(json.loads(lines.readline()))
            except (OSError, ValueError):
                return None

    @property
    def pid(self) -> int | None:
        """The process id of the peer process; ``None`` if none answers."""
        answer = self.ask("ping")
        return int(answer["pid"]) if answer is not None else None

    def kill(self) -> int:
        """``kill -9`` the peer process; give the process id that it had."""
        pid = self.pid
        assert pid is not None, f"no peer process to kill\n{self._scene.logs()}"
        os.kill(pid, signal.SIGKILL)
        self._scene.wait_until(lambda: gone(pid), "end of the peer process")
        return pid

    def stop(self) -> None:
        """End the peer process, if there is one."""
        pid = self.pid
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        self._scene.wait_until(lambda: gone(pid), "end of the peer process", 15)

    def contents(self) -> list[Path]:
        """The files of its store that hold content, or would."""
        return sorted((self.path / "store").rglob("data"))

    def journalled(self) -> int:
        """How far the journals of its store have grown: 8 bytes for each piece."""
        return sum(path.stat().st_size for path in (self.path / "store").rglob("journal"))
