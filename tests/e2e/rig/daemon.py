"""``twistd dfdaemon`` as it is typed, and what it tells of itself."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.request
from contextlib import suppress
from functools import partial
from pathlib import Path

import attrs

from tests.e2e.rig.commands import twistd
from tests.e2e.rig.held import HeldSockets
from tests.e2e.rig.scene import Program, Scene, gone

__all__ = ["Dfdaemon", "Request"]

_START_S = 30.0
_SOURCES = ("cache", "peers", "cdn", "registry")
_LINE = re.compile(
    r"\[dragonfly\.access#info\] (?P<method>\S+) (?P<path>\S+) (?P<status>\d+) (?P<sent>\d+) B"
    r" in [\d.]+ s from cache=(?P<cache>\d+) peers=(?P<peers>\d+) cdn=(?P<cdn>\d+)"
    r" registry=(?P<registry>\d+) route=(?P<route>\w+) .*ending=(?P<ending>\w+)"
    r'(?: why="(?P<why>.*)")?$'
)


@attrs.frozen(kw_only=True)
class Request:
    """One line of the access log: it is written when the request is over.

    :ivar sources: bytes by ``cache``, ``peers``, ``cdn`` and ``registry``.
    """

    method: str
    path: str
    status: int
    sent: int
    sources: dict[str, int]
    route: str
    ending: str
    why: str


def _request(line: re.Match[str]) -> Request:
    return Request(
        method=line["method"],
        path=line["path"],
        status=int(line["status"]),
        sent=int(line["sent"]),
        sources={name: int(line[name]) for name in _SOURCES},
        route=line["route"],
        ending=line["ending"],
        why=line["why"] or "",
    )


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


class Dfdaemon:
    """One dfdaemon with a home of its own; it may be killed and started again.

    :param registry: its URL; empty: the option is not given.
    :param nodes: of ``--node``; none: the option is not given.
    :param port: to ask for; 0: any.
    :param settings: of its configuration file.
    :param held: sockets that it is given, as a service manager does.
    """

    def __init__(
        self,
        scene: Scene,
        name: str,
        registry: str = "",
        *nodes: str,
        flags: tuple[str, ...] = (),
        port: int = 0,
        settings: dict[str, object] | None = None,
        held: HeldSockets | None = None,
    ) -> None:
        self._scene = scene
        self._name = name
        config = scene.root / f"{name}.yml"  # JSON is YAML
        config.write_text(json.dumps(settings or {}))
        self._command = [*twistd(), "dfdaemon", "--config", str(config), *flags]
        if registry:
            self._command += ["--registry", registry]
        if nodes:
            self._command += ["--node", ",".join(nodes)]
        self._held = held
        self.home = scene.root / name
        self.port = port
        self.pieces = 0
        self._status = 0
        self._program: Program | None = None
        self.pid = 0
        self.start()

    @property
    def netloc(self) -> str:
        """Address and port, as a reference to an image begins."""
        return f"127.0.0.1:{self.port}"

    @property
    def program(self) -> Program:
        """The running process."""
        assert self._program is not None
        return self._program

    def url(self, path: str = "") -> str:
        """The URL of a path that begins with a slash; without one: of the mirror."""
        return f"http://{self.netloc}{path}"

    def start(self, *flags: str) -> None:
        """Start it, on the ports that it had before if it had some; wait until it is ready."""
        ports = self.home / "dfdaemon-ports.json"
        ports.unlink(missing_ok=True)
        held = self._held or HeldSockets(())
        command = [*held.handing(self._command), *flags, "--workHome", str(self.home)]
        command += ["--port", str(self.port), "--peerPort", str(self.pieces)]
        command += ["--statusPort", str(self._status)]
        program = self._scene.start(self._name, command, keep=held.numbers)
        self._scene.wait_until(
            lambda: program.code is not None or ports.exists(), "dfdaemon", _START_S
        )
        assert program.code is None, f"dfdaemon ended\n{self._scene.logs()}"
        told = json.loads(ports.read_text())
        assert told["pid"] == program.pid
        self.pid = program.pid
        self._program = program
        self.port, self.pieces, self._status = told["front"], told["pieces"], told["status"]

    def upgrade(self) -> None:
        """Have it replaced by SIGUSR2; wait until the next process serves.

        :attr:`program` remains what was started here; the next ones are nobody's children.
        """
        before = self.pid
        os.kill(before, signal.SIGUSR2)
        self._scene.wait_until(lambda: self._told_pid() != before, "next dfdaemon", _START_S)
        self.pid = self._told_pid()
        self._scene.at_end(partial(_end, self.pid))

    def end_upgraded(self) -> None:
        """End the process of the last upgrade, and wait until it is gone."""
        _end(self.pid)
        self._scene.wait_until(lambda: gone(self.pid), "end of dfdaemon")

    def _told_pid(self) -> int:
        return int(json.loads((self.home / "dfdaemon-ports.json").read_text())["pid"])

    def break_config(self, text: str) -> None:
        """Put that in its configuration file."""
        (self._scene.root / f"{self._name}.yml").write_text(text)

    def kill(self) -> None:
        """``kill -9``."""
        self.program.kill()

    def stop(self) -> None:
        """End it properly."""
        self.program.end()

    def get(self, path: str) -> str:
        """The text at a path of its status port."""
        url = f"http://127.0.0.1:{self._status}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    def requests(self, text: str = "") -> list[Request]:
        """What the access log has of requests whose path contains ``text``."""
        found = (_LINE.search(line) for line in self._log().splitlines())
        return [_request(line) for line in found if line is not None and text in line["path"]]

    def _log(self) -> str:
        return (self._scene.root / f"{self._name}.log").read_text(errors="replace")

    def store(self) -> list[Path]:
        """The files of its store that hold content, or would."""
        return sorted((self.home / "store").rglob("data"))
