"""The server that programs send to, and what it heard."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import attrs

from tests.e2e.rig.authority import Authority
from tests.e2e.rig.network import Network
from tests.e2e.rig.registry import needed
from tests.e2e.rig.scene import Program
from tests.e2e.rig.sites import NAMES, PASSWORD, USER, Sites

__all__ = ["Deliveries", "Heard"]

_PORTS = {"http": 5300, "https": 5301}
_NAME = "intake.test"


@attrs.frozen(kw_only=True)
class Heard:
    """One request: the line is written when it was answered, with status 0 if it was cut.

    :ivar taken: bytes of the body that were read before.
    """

    method: str
    path: str
    status: int
    taken: int
    chunked: bool
    expects: bool


class Deliveries:
    """Runs ``intake.py`` on the network's first host; what arrives is served by ``sites``."""

    def __init__(self, network: Network, authority: Authority, sites: Sites) -> None:
        needed("git")
        self._host = network.servers
        self._root = sites.storage.path
        work = self._host.directory("intake")
        self._log = work / "heard"
        settings = {
            "http": [f"10.88.0.{NAMES[_NAME]}", _PORTS["http"]],
            "https": [f"10.88.0.{NAMES[_NAME]}", _PORTS["https"]],
            "certificate": str(authority.server(_NAME)),
            "root": str(self._root),
            "urls": sites.FILES,
            "user": USER,
            "password": PASSWORD,
            "log": str(self._log),
        }
        path, ready = work / "settings.json", work / "ready"
        path.write_text(json.dumps(settings))
        command = [
            sys.executable,
            str(Path(__file__).with_name("intake.py")),
            str(path),
            str(ready),
        ]
        self.program: Program = self._host.start("intake", command)
        self._host.wait_until(ready.exists, "intake")

    URLS = {scheme: f"{scheme}://{_NAME}:{port}" for scheme, port in _PORTS.items()}
    """Where it is."""

    @property
    def arriving(self) -> int:
        """Bytes of the bodies that it has not done with."""
        incoming = (self._root / "incoming").glob("*")
        return sum(path.stat().st_size for path in incoming if path.exists())

    def heard(self, text: str = "", method: str = "") -> list[Heard]:
        """Requests whose path contains ``text``, in the order in which they were answered."""
        if not self._log.exists():
            return []
        found = [Heard(**json.loads(line)) for line in self._log.read_text().splitlines()]
        return [one for one in found if text in one.path and method in ("", one.method)]
