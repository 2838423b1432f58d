"""containerd with directories of its own, and ctr, which does its HTTP."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.rig.files import sha256
from tests.e2e.rig.images import Blob
from tests.e2e.rig.registry import needed
from tests.e2e.rig.scene import Program, Scene

__all__ = ["NAME", "Containerd"]

NAME = "registry.test"
"""The name of the registry; it resolves to nothing, so only the mirror can answer."""

# No other plugin is needed; some of these would look for devices and modules of the kernel.
_WITHOUT = (
    "io.containerd.grpc.v1.cri",
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.overlayfs",
    "io.containerd.snapshotter.v1.zfs",
)


class Containerd:
    """One containerd whose registry ``registry.test`` is reached through one mirror.

    :param mirror: its URL.
    :param registry: which one the mirror is told to ask.
    """

    def __init__(self, scene: Scene, mirror: str, registry: str, name: str = "c") -> None:
        needed("containerd", "ctr")
        if os.getuid() != 0:
            pytest.skip("containerd needs root")
        self._scene = scene
        self._name = name
        self._work = scene.directory(name)
        self._socket = self._work / "s"
        self._runs = 0
        self._hosts(mirror, registry)
        self._start()

    def fetch(self, image: str, *flags: str) -> Program:
        """Start to pull all content of ``repository:tag``; nothing is unpacked."""
        return self._ctr("content", "fetch", *flags, "--hosts-dir", self._rules, self._full(image))

    def pull(self, image: str, *flags: str) -> Program:
        """Start to pull and unpack ``repository:tag``."""
        how = ("--snapshotter", "native", "--hosts-dir", self._rules)
        return self._ctr("images", "pull", *how, *flags, self._full(image))

    def has(self, *blobs: Blob) -> bool:
        """Whether all of these are there and right."""
        return all(
            self._blob(blob).exists() and sha256(self._blob(blob)) == blob.hex for blob in blobs
        )

    def arriving(self) -> int:
        """Bytes of what is being fetched."""
        ingest = self._content / "ingest"
        return sum(path.stat().st_size for path in ingest.glob("*/data") if path.exists())

    def _blob(self, blob: Blob) -> Path:
        return self._content / "blobs" / "sha256" / blob.hex

    @property
    def _content(self) -> Path:
        return self._work / "root" / "io.containerd.content.v1.content"

    @property
    def _rules(self) -> str:
        return str(self._work / "hosts")

    def _full(self, image: str) -> str:
        return f"{NAME}/{image}"

    def _ctr(self, *arguments: str) -> Program:
        self._runs += 1
        command = ["ctr", "--address", str(self._socket), *arguments]
        return self._scene.start(f"{self._name}-ctr-{self._runs}", command)

    def _hosts(self, mirror: str, registry: str) -> None:
        rules = self._work / "hosts" / NAME
        rules.mkdir(parents=True)
        text = (
            f'server = "{mirror}"\n[host."{mirror}"]\n  capabilities = ["pull", "resolve"]\n'
            f'[host."{mirror}".header]\n  X-Dragonfly-Registry = ["{registry}"]\n'
        )
        (rules / "hosts.toml").write_text(text)

    def _start(self) -> None:
        config = self._work / "config.toml"
        config.write_text(
            f'version = 2\nroot = "{self._work}/root"\nstate = "{self._work}/state"\n'
            f"disabled_plugins = {json.dumps(_WITHOUT)}\n"
            f'[grpc]\naddress = "{self._socket}"\n[ttrpc]\naddress = "{self._work}/t"\n'
        )
        program = self._scene.start(self._name, ["containerd", "--config", str(config)])
        ready = "containerd successfully booted"
        self._scene.wait_until(
            lambda: program.code is not None or ready in program.text(), "containerd"
        )
        assert program.code is None, f"containerd ended\n{self._scene.logs()}"
