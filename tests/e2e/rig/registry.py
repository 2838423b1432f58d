"""A real registry (the reference implementation) with a configuration and a port of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.e2e.rig.images import Blob, Image, Layout
from tests.e2e.rig.nginx import connects, free_port
from tests.e2e.rig.scene import Program, Scene

__all__ = ["CHECK_BYTES", "Registry", "Served", "Storage", "needed"]

CHECK_BYTES = 1
"""An answer of so many is one to a check of who may have the blob."""

_STARTS = 5
_LINE = re.compile(
    r'^127\.0\.0\.1 \S+ \S+ \[[^]]*\] "(\S+) (\S+) HTTP/1\.[01]" (\d+) (\d+) .*$', re.MULTILINE
)


def needed(*tools: str) -> None:
    """Skip the test where one of these programs is not installed."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: see tests/e2e/install-tools.sh")


@attrs.frozen
class Served:
    """One line of a registry's access log: it is written when the answer has ended."""

    method: str
    path: str
    status: int
    body_bytes: int


class Storage:
    """The directory in which a registry keeps what was pushed to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def file(self, blob: Blob) -> Path:
        """Where the bytes of a blob lie."""
        return self._data(blob.digest)

    def add(self, layout: Layout, image: Image, name: str, tag: str) -> None:
        """Put an image there as if it had been pushed, which costs seconds."""
        repository = self._repository(name)
        manifest = image.manifest
        inner = [blob for blob in image.others if "manifest" in blob.media_type]
        own = [layer for layer in image.layers if not layer.url]
        for blob in (manifest, *own, *image.others):
            self._linked(layout.file(blob), self.file(blob))
            _link(repository / "_layers" / "sha256" / blob.hex, blob)
        for blob in (manifest, *inner):
            _link(repository / "_manifests" / "revisions" / "sha256" / blob.hex, blob)
        tagged = repository / "_manifests" / "tags" / tag
        _link(tagged / "index" / "sha256" / manifest.hex, manifest)
        _link(tagged / "current", manifest)

    def tagged(self, name: str, tag: str) -> bool:
        """Whether a repository has an image of this tag."""
        return (self._repository(name) / "_manifests" / "tags" / tag / "current" / "link").exists()

    def layers(self, name: str, tag: str) -> list[Path]:
        """The files with the layers of an image, as its manifest names them."""
        link = self._repository(name) / "_manifests" / "tags" / tag / "current" / "link"
        manifest = self._data(link.read_text())
        return [self._data(one["digest"]) for one in json.loads(manifest.read_text())["layers"]]

    def uploading(self, name: str) -> int:
        """Bytes that have come of what is pushed to a repository now."""
        files = (self._repository(name) / "_uploads").glob("*/data")
        return sum(path.stat().st_size for path in files if path.exists())

    def _data(self, digest: str) -> Path:
        hexed = digest.partition(":")[2]
        blobs = self.path / "docker" / "registry" / "v2" / "blobs" / "sha256"
        return blobs / hexed[:2] / hexed / "data"

    def _repository(self, name: str) -> Path:
        return self.path / "docker" / "registry" / "v2" / "repositories" / name

    @staticmethod
    def _linked(source: Path, target: Path) -> None:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(source)

    def corrupt(self, blob: Blob) -> None:
        """Change one byte in the middle of a blob; a second time: change it back."""
        with self.file(blob).open("r+b") as file:
            file.seek(blob.size // 2)
            old = file.read(1)[0]
            file.seek(blob.size // 2)
            file.write(bytes([old ^ 0xFF]))


def _link(directory: Path, blob: Blob) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "link").write_text(blob.digest)


class Registry:
    """One registry; it may be stopped and started again.

    :param storage: what several registries may share; ``None``: a directory of its own.
    :param users: name to password; with them nobody else gets in.
    :param redirect: where blobs are to be fetched from; empty: the registry itself.
    :param certificate: key and certificate in one PEM file; with it everything is HTTPS.
    :param upstream: URL of a registry that it is a cache of; empty: it has images of its own.
    """

    def __init__(
        self,
        scene: Scene,
        name: str = "registry",
        *,
        storage: Storage | None = None,
        users: dict[str, str] | None = None,
        redirect: str = "",
        certificate: Path | None = None,
        upstream: str = "",
    ) -> None:
        needed("docker-registry")
        self._scene = scene
        self._name = name
        self._work = scene.directory(name)
        self.storage = storage or Storage(scene.directory(f"{name}-storage"))
        self._settings = self._made(users, redirect, certificate)
        if upstream:
            self._settings["proxy"] = {"remoteurl": upstream}
        self._scheme = "http" if certificate is None else "https"
        self.port = 0
        self._program: Program | None = None
        self.start()

    @property
    def netloc(self) -> str:
        """Address and port, as a reference to an image begins."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "") -> str:
        """The URL of a path that begins with a slash; without one: of the registry."""
        return f"{self._scheme}://{self.netloc}{path}"

    def start(self) -> None:
        """Start it, on the port that it had before if it had one."""
        for _ in range(1 if self.port else _STARTS):
            port = self.port or free_port()
            program = self._launch(port)
            self._scene.wait_until(
                lambda port=port, program=program: program.code is not None or connects(port),  # type: ignore[misc]
                "registry",
            )
            if program.code is None:
                self._program, self.port = program, port
                return
        raise AssertionError(f"the registry does not start:\n{self._scene.logs()}")

    def stop(self) -> None:
        """End it at once, in the middle of whatever it does."""
        assert self._program is not None
        self._program.kill()

    def served(self, blob: Blob, method: str = "GET") -> list[Served]:
        """The answers about a blob that have ended, in whatever repository."""
        return [
            line
            for line in self.lines()
            if line.method == method and line.path.split("?")[0].endswith(f"/blobs/{blob.digest}")
        ]

    def sent(self, blob: Blob) -> int:
        """Bytes of a blob that left in answers that have ended, but those to checks."""
        counts = (line.body_bytes for line in self.served(blob) if line.status in (200, 206))
        return sum(count for count in counts if count > CHECK_BYTES)

    def lines(self) -> Iterator[Served]:
        """The whole access log."""
        text = (self._scene.root / f"{self._name}.log").read_text(errors="replace")
        for method, path, status, sent in _LINE.findall(text):
            yield Served(method, path, int(status), int(sent))

    def _launch(self, port: int) -> Program:
        config = self._work / "config.yml"  # JSON is YAML
        http = {**self._settings["http"], "addr": f"127.0.0.1:{port}"}
        config.write_text(json.dumps({**self._settings, "http": http}))
        return self._scene.start(self._name, ["docker-registry", "serve", str(config)])

    def _made(
        self, users: dict[str, str] | None, redirect: str, certificate: Path | None
    ) -> dict[str, Any]:
        made: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(self.storage.path)}},
            "http": {},
        }
        if users is not None:
            made["auth"] = {"htpasswd": {"realm": "members", "path": str(self._members(users))}}
        if redirect:
            options = {"name": "redirect", "options": {"baseurl": redirect}}
            made["middleware"] = {"storage": [options]}
        if certificate is not None:
            made["http"]["tls"] = {"certificate": str(certificate), "key": str(certificate)}
        return made

    def _members(self, users: dict[str, str]) -> Path:
        needed("htpasswd")
        path = self._work / "htpasswd"
        lines = [
            subprocess.run(
                ["htpasswd", "-Bbn", "-C", "4", name, word],  # the registry takes bcrypt only
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for name, word in users.items()
        ]
        path.write_text("\n".join(lines) + "\n")
        return path
