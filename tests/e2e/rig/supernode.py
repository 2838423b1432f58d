"""``twistd supernode`` as it is typed, and what it tells of itself."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

from tests.e2e.rig.commands import twistd
from tests.e2e.rig.scene import Program, Scene

__all__ = ["Supernode"]


class Supernode:
    """One supernode with a home of its own; it may be killed and started again.

    :param http: the HTTP port to ask for; 0: any.
    """

    def __init__(self, scene: Scene, name: str = "sn", *flags: str, http: int = 0) -> None:
        self._scene = scene
        self._name = name
        self._flags = flags
        self.home = scene.root / name
        self.http = http
        self.pieces = 0
        self._program: Program | None = None
        self.start()

    @property
    def node(self) -> str:
        """How ``--node`` names it."""
        return f"127.0.0.1:{self.http}"

    @property
    def program(self) -> Program:
        """The running process."""
        assert self._program is not None
        return self._program

    def start(self) -> None:
        """Start it, on the ports that it had before if it had some; wait until it is ready."""
        ports = self.home / "ports.json"
        ports.unlink(missing_ok=True)
        command = [*twistd(), "supernode", "--home-dir", str(self.home)]
        command += ["--port", str(self.http), "--download-port", str(self.pieces), *self._flags]
        program = self._scene.start(self._name, command)
        self._scene.wait_until(lambda: program.code is not None or ports.exists(), "supernode")
        assert program.code is None, f"the supernode ended\n{self._scene.logs()}"
        told = json.loads(ports.read_text())
        assert told["pid"] == program.pid
        self._program, self.http, self.pieces = program, told["http"], told["pieces"]

    def kill(self) -> None:
        """``kill -9``."""
        self.program.kill()

    def stop(self) -> None:
        """End it properly."""
        self.program.end()

    def get(self, path: str) -> str:
        """The text at a path of its HTTP port."""
        with urllib.request.urlopen(f"http://{self.node}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def json(self, path: str) -> Any:
        """The JSON at a path of its HTTP port."""
        return json.loads(self.get(path))

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; ``name`` without ``dragonfly_supernode_``."""
        pattern = rf"^dragonfly_supernode_{name}(?:\{{[^}}]*\}})? (\S+)$"
        return sum(float(value) for value in re.findall(pattern, self.get("/metrics"), re.M))

    @property
    def fetched(self) -> int:
        """Bytes that it read from origins since it was started."""
        return int(self.metric("cdn_download_size_bytes_total"))

    @property
    def uploaded(self) -> int:
        """Bytes that its CDN sent to peers since it was started."""
        return int(self.metric("pieces_uploaded_size_bytes_total"))
