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

_REMOVAL_S = 90  # of gigabytes
_CRI = "io.containerd.grpc.v1.cri"
_SERVICE = """
[plugins."{cri}".containerd]
  snapshotter = "native"
[plugins."{cri}".cni]
  bin_dir = "{work}/cni"
  conf_dir = "{work}/cni"
[plugins."{cri}".registry]
  config_path = "{work}/hosts"
"""

# No other plugin is needed; some of these would look for devices and modules of the kernel.
_WITHOUT = (
    _CRI,
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.overlayfs",
    "io.containerd.snapshotter.v1.zfs",
)


class Containerd:
    """One containerd whose registry ``registry.test`` is reached through one mirror.

    :param mirror: its URL; empty: whoever pulls writes :attr:`rules`.
    :param registry: which one the mirror is told to ask.
    :param cri: with the service that Kubernetes uses.
    :param environment: of the process, as ``env`` takes it.
    """

    def __init__(
        self,
        scene: Scene,
        mirror: str = "",
        registry: str = "",
        name: str = "c",
        *,
        cri: bool = False,
        environment: tuple[str, ...] = (),
    ) -> None:
        needed("containerd", "ctr")
        if os.getuid() != 0:
            pytest.skip("containerd needs root")
        self._scene = scene
        self._name = name
        self._work = scene.directory(name)
        self.socket = self._work / "s"
        self._runs = 0
        if mirror:
            self._hosts(mirror, registry)
        self._start(cri, environment)

    def fetch(self, image: str, *flags: str) -> Program:
        """Start to pull all content of ``repository:tag``; nothing is unpacked."""
        where = ("--hosts-dir", str(self.rules))
        return self.ctr("content", "fetch", *flags, *where, self._full(image))

    def pull(self, image: str, *flags: str) -> Program:
        """Start to pull and unpack ``repository:tag``."""
        how = ("--snapshotter", "native", "--hosts-dir", str(self.rules))
        return self.ctr("images", "pull", *how, *flags, self._full(image))

    def has(self, *blobs: Blob) -> bool:
        """Whether all of these are there and right."""
        return all(
            self._blob(blob).exists() and sha256(self._blob(blob)) == blob.hex for blob in blobs
        )

    def forget(self, namespace: str = "default") -> None:
        """Remove all images, with their content and what was unpacked of it."""
        images = ("--namespace", namespace, "images")
        listing = self.ctr(*images, "list", "--quiet")
        assert listing.wait() == 0, listing.text()
        removal = self.ctr(*images, "remove", "--sync", *listing.text().split())
        assert removal.wait(_REMOVAL_S) == 0, removal.text()

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
    def rules(self) -> Path:
        """The directory with a ``hosts.toml`` for each registry."""
        return self._work / "hosts"

    def _full(self, image: str) -> str:
        return f"{NAME}/{image}"

    def ctr(self, *arguments: str, environment: tuple[str, ...] = ()) -> Program:
        """Start ``ctr``."""
        self._runs += 1
        command = ["env", *environment, "ctr", "--address", str(self.socket), *arguments]
        return self._scene.start(f"{self._name}-ctr-{self._runs}", command)

    def _hosts(self, mirror: str, registry: str) -> None:
        rules = self.rules / NAME
        rules.mkdir(parents=True)
        text = (
            f'server = "{mirror}"\n[host."{mirror}"]\n  capabilities = ["pull", "resolve"]\n'
            f'[host."{mirror}".header]\n  X-Dragonfly-Registry = ["{registry}"]\n'
        )
        (rules / "hosts.toml").write_text(text)

    def _start(self, cri: bool, environment: tuple[str, ...]) -> None:
        config = self._work / "config.toml"
        without = [name for name in _WITHOUT if not cri or name != _CRI]
        config.write_text(
            f'version = 2\nroot = "{self._work}/root"\nstate = "{self._work}/state"\n'
            f"disabled_plugins = {json.dumps(without)}\n"
            f'[grpc]\naddress = "{self.socket}"\n[ttrpc]\naddress = "{self._work}/t"\n'
            + (_SERVICE.format(cri=_CRI, work=self._work) if cri else "")
        )
        command = ["env", *environment, "containerd", "--config", str(config)]
        program = self._scene.start(self._name, command)
        ready = "containerd successfully booted"
        self._scene.wait_until(
            lambda: program.code is not None or ready in program.text(), "containerd"
        )
        assert program.code is None, f"containerd ended\n{self._scene.logs()}"
