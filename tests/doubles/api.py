"""The whole HTTP API in memory: a real CDN, a scripted tracker, no socket.

::

    lab = ApiLab(tmp_path, body=b"...")
    assert lab.get("/_ping").body == b"OK"
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from klein import Klein

from dragonfly.control.codec import to_json
from dragonfly.control.signing import SIGNATURE_HEADER, sign_body
from dragonfly.metrics import BuildInfo
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.supernode.api import add_all_routes, make_site, map_errors
from dragonfly.supernode.tracker import Tracker
from dragonfly.task.grant import Grant, cdn_proof, sign_grant
from tests.doubles.cdn import CdnLab
from tests.doubles.http import HttpAnswer, HttpCall
from tests.doubles.tracker import ScriptedTracker

__all__ = ["TASK", "ApiLab"]

TASK = b"T" * 32


class ApiLab:
    """A site with all routes; ``cdn`` is a :class:`~tests.doubles.cdn.CdnLab`."""

    def __init__(self, home: Path, **origin: Any) -> None:
        self.cdn = CdnLab(home, **{"body": b"", **origin})
        self.clock = self.cdn.clock
        self.tracker = ScriptedTracker()
        self.peer = SigningKey.from_bytes(b"\2" * 32)
        self.health: dict[str, object] = {"ok": True}
        self.looked = 0
        self.connections = 1
        self.app = Klein()
        add_all_routes(
            self.app,
            cdn=self.cdn.cdn,
            tracker=cast("Tracker", self.tracker),
            ring=KeyRing([self.cdn.key.public]),
            disk=self.cdn.disk,
            clock=self.clock,
            build=BuildInfo(version="1.2.3", python="3.11", os="linux"),
            metrics=self.cdn.metrics,
            health=lambda: self.health,
            before_metrics=self._look,
            connections=lambda: self.connections,
        )
        map_errors(self.app)
        self.site = make_site(self.app.resource(), self.cdn.metrics, self.clock)

    def _look(self) -> None:
        self.looked += 1

    # -- calls -----------------------------------------------------------------------

    def call(self, method: str, path: str, **more: Any) -> HttpCall:
        """Send a request."""
        return HttpCall(self.site, method, path, **more)

    def get(self, path: str, **headers: str) -> HttpAnswer:
        """The answer to a GET; ``if_range="x"`` is the header If-Range."""
        return self.call("GET", path, headers=_named(headers)).answer()

    def json(self, path: str) -> Any:
        """The JSON that a GET brings."""
        answer = self.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.body.endswith(b"\n")
        return json.loads(answer.body)

    def post(
        self, path: str, message: object, *, signed_path: str | None = None, **more: str
    ) -> HttpAnswer:
        """The answer to a control call, signed by :attr:`peer`; more headers as in :meth:`get`."""
        body = to_json(message)
        signature = sign_body(self.peer, path if signed_path is None else signed_path, body)
        headers = {SIGNATURE_HEADER: signature, **_named(more)}
        return self.call("POST", path, headers=headers, body=body).answer()

    def numbers(self) -> dict[str, float]:
        """The metrics by name and labels."""
        lines = self.cdn.metrics.text().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    # -- the CDN's headers -----------------------------------------------------------------

    def grant(self, *, task: bytes = TASK, key: bytes | None = None, lives_s: int = 300) -> bytes:
        """A grant of the supernode."""
        now = int(self.clock.seconds())
        grant = Grant(task=task, key=key or self.peer.public, issued=now - 1, expires=now + lives_s)
        return sign_grant(grant, self.cdn.key)

    def shown(
        self,
        *,
        grant: bytes | None = None,
        task: bytes = TASK,
        at: int | None = None,
        holder: SigningKey | None = None,
    ) -> dict[str, str]:
        """The headers that open the CDN."""
        grant = self.grant(task=task) if grant is None else grant
        at = int(self.clock.seconds()) if at is None else at
        proof = cdn_proof(holder or self.peer, task, at, grant).hex()
        return {
            "X-Dragonfly-Grant": base64.b64encode(grant).decode(),
            "X-Dragonfly-Proof": f"{at}:{proof}",
        }

    def read(self, method: str = "GET", **headers: str) -> HttpAnswer:
        """The answer of the CDN for :data:`TASK` to a rightful caller."""
        return self.call(method, self.path, headers={**self.shown(), **_named(headers)}).answer()

    @property
    def path(self) -> str:
        """Where :data:`TASK` is."""
        return f"/cdn/{TASK.hex()}"


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
