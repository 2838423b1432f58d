"""skopeo: pushes images, and pulls them into directories."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

import attrs

from tests.e2e.rig.files import sha256
from tests.e2e.rig.images import Image, Layout
from tests.e2e.rig.registry import needed
from tests.e2e.rig.scene import Program, Scene

__all__ = ["Pull", "Skopeo"]

_HEX = re.compile(r"[0-9a-f]{64}")


class Pull:
    """A pull that was started, and the directory that it fills."""

    def __init__(self, scene: Scene, program: Program, directory: Path) -> None:
        self._scene = scene
        self.program = program
        self.directory = directory

    @property
    def arrived(self) -> int:
        """Bytes that have reached the directory so far."""
        return sum(path.stat().st_size for path in self.directory.glob("*") if path.exists())

    def until(self, count: int) -> None:
        """Wait until that many bytes have arrived, and see that it is not over yet."""
        self._scene.wait_until(lambda: self.arrived >= count, f"{count} bytes in the pull")
        assert self.program.code is None, self._shown("it was over too early")

    def ended(self, seconds: float = 60) -> int:
        """Wait for its end and give the exit code."""
        return self.program.wait(seconds)

    def right(self, image: Image | None = None, *, seconds: float = 60) -> Pull:
        """Check that it succeeds, that all blobs are right and, if told, each layer is there."""
        code = self.ended(seconds)
        assert code == 0, self._shown(f"skopeo ended with {code}")
        assert all(sha256(self.directory / name) == name for name in self.blobs)
        if image is not None:
            assert {layer.hex for layer in image.layers} <= self.blobs
        return self

    def failed(self, seconds: float = 60) -> str:
        """Check that it fails, and give what it said."""
        assert self.ended(seconds) != 0, self._shown("skopeo succeeded")
        return self.program.text()

    @property
    def blobs(self) -> set[str]:
        """The digests under which blobs were stored."""
        return {path.name for path in self.directory.iterdir() if _HEX.fullmatch(path.name)}

    @property
    def manifest(self) -> str:
        """The digest of the manifest or index."""
        return hashlib.sha256((self.directory / "manifest.json").read_bytes()).hexdigest()

    def _shown(self, what: str) -> str:
        return f"{what}:\n{self._scene.logs()}"


@attrs.define(eq=False)
class Skopeo:
    """Runs of skopeo; each has a home of its own, because it remembers where it saw a blob."""

    scene: Scene
    _runs: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        needed("skopeo")

    def start(self, *arguments: str | Path) -> tuple[Program, Path]:
        """Start it; give the process and its home, in which there is nothing."""
        self._runs += 1
        name = f"skopeo-{self._runs}"
        home = self.scene.directory(name)
        command = ["env", f"HOME={home}", f"XDG_RUNTIME_DIR={home}", f"XDG_DATA_HOME={home}"]
        command += ["skopeo", "--insecure-policy", *map(str, arguments)]
        return self.scene.start(name, command), home

    def push(self, layout: Layout, tag: str, to: str, *flags: str, seconds: float = 60) -> None:
        """Push an image of a layout to ``host:port/name:tag`` without TLS."""
        source = f"oci:{layout.path}:{tag}"
        flags = ("--all", "--dest-tls-verify=false", *flags)
        program, _home = self.start("copy", *flags, source, f"docker://{to}")
        code = program.wait(seconds)
        assert code == 0, f"skopeo ended with {code}:\n{self.scene.logs()}"

    def pull(
        self, reference: str, *flags: str | Path, settings: Path | None = None, tls: bool = False
    ) -> Pull:
        """Start to pull ``host:port/name:tag``.

        :param settings: a ``registries.conf``.
        :param tls: insist on TLS.
        """
        directory = self.scene.directory(f"pull-{self._runs + 1}")
        before = ["--registries-conf", settings] if settings is not None else []
        verify = f"--src-tls-verify={str(tls).lower()}"
        source, target = f"docker://{reference}", f"dir:{directory}"
        program, _home = self.start(*before, "copy", verify, *flags, source, target)
        return Pull(self.scene, program, directory)

    def mirror(self, prefix: str, netloc: str) -> Path:
        """A ``registries.conf`` in which ``netloc`` is the only way to ``prefix``."""
        path = self.scene.root / f"registries-{time.monotonic_ns()}.conf"
        path.write_text(
            f'[[registry]]\nprefix = "{prefix}"\nlocation = "{netloc}"\ninsecure = true\n'
            f'[[registry.mirror]]\nlocation = "{netloc}"\ninsecure = true\n'
        )
        return path
