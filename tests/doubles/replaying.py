"""What replays of clients' requests play in: a registry, a supernode, a peer, and a mirror.

::

    scene = await Scene.started(tmp_path, origin)
    path = scene.put_blob(body)
    answer = await scene.mirror.get(path, "Range: bytes=0-")
    await scene.stop()
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.daemon.routing.rules import Rule
from tests.doubles.mirror import Mirror
from tests.doubles.origin import FakeOrigin, Page
from tests.doubles.peers import Peer, Supernode

__all__ = ["BODY", "MANIFEST", "Scene", "blob_path", "sha256"]

BODY = random.Random(6).randbytes(3_000_000)
MANIFEST = b'{"schemaVersion": 2, "layers": []}'


def sha256(body: bytes) -> str:
    """As registries write it."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def blob_path(body: bytes, name: str = "lib/image") -> str:
    """Where a registry keeps a layer."""
    return f"/v2/{name}/blobs/{sha256(body)}"


class Scene:
    """All of it.

    :ivar mirror: the one that was started last.
    """

    def __init__(self, origin: FakeOrigin, node: Supernode, peer: Peer) -> None:
        self.origin = origin
        self._node = node
        self._peer = peer
        self._mirrors: list[Mirror] = []

    @classmethod
    async def started(cls, directory: Path, origin: FakeOrigin) -> Scene:
        """With a mirror that has no rules."""
        node = await Supernode.started(directory / "node")
        scene = cls(origin, node, await Peer.started(directory / "peer", node))
        scene.add_mirror()
        return scene

    @property
    def mirror(self) -> Mirror:
        """The last one."""
        return self._mirrors[-1]

    @property
    def place(self) -> str:
        """``host:port`` of the registry."""
        return self.origin.url("").partition("//")[2]

    def add_mirror(self, *rules: Rule, **settings: Any) -> Mirror:
        """Start another one of the same peer, with these rules."""
        registry = parse_registry(self.origin.url(""))
        mirror = Mirror(self._peer, registry, reactor, rules=rules, known=[registry], **settings)
        mirror.start()
        self._mirrors.append(mirror)
        return mirror

    def put_blob(self, body: bytes = BODY, *, name: str = "lib/image", **switches: Any) -> str:
        """Have the registry keep a layer, and give its path."""
        path = blob_path(body, name)
        page = self.origin.put(path, body, **switches)
        page.headers.setdefault("Docker-Content-Digest", sha256(body))
        page.headers.setdefault("Content-Type", "application/octet-stream")
        return path

    def put_manifest(self, tag: str = "latest", *, name: str = "lib/image") -> Page:
        """Have it keep a manifest."""
        page = self.origin.put(f"/v2/{name}/manifests/{tag}", MANIFEST)
        page.headers["Docker-Content-Digest"] = sha256(MANIFEST)
        page.headers["Content-Type"] = "application/vnd.oci.image.manifest.v1+json"
        return page

    async def stop(self) -> None:
        """End everything but the registry."""
        for mirror in self._mirrors:
            await mirror.stop()
        await self._peer.stop()
        await self._node.stop()
