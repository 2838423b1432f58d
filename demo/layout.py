"""An image of random bytes on disk: an OCI layout, which every tool for images reads."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

LAYERS = 4
BLOCK = 1 << 20
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Image:
    """An image that was written to a directory.

    :ivar sizes: bytes of each layer by its digest (``sha256:`` and hexadecimal), in order.
    :ivar digest: of the manifest: it names everything.
    """

    def __init__(self, directory: Path, size: int) -> None:
        """Write layers that are ``size`` bytes together, and what describes them."""
        self.directory = directory
        self.blobs = directory / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)
        self.sizes: dict[str, int] = {}
        parts = [size // LAYERS] * (LAYERS - 1)
        parts.append(size - sum(parts))
        layers, tars = zip(*map(self._layer, range(LAYERS), parts), strict=True)
        config = self._json(CONFIG, configuration(list(tars)))
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config}
        named = self._json(MANIFEST, {**manifest, "layers": layers})
        self.digest = str(named["digest"])
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}
        (directory / "index.json").write_text(json.dumps(index))
        (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def _layer(self, number: int, size: int) -> tuple[dict[str, Any], str]:
        """Write a layer of one random file; give its descriptor and the digest of its tar.

        It is gzip, as pushing tools want it, without compression, which would be in vain.
        """
        plain, zipped = self.blobs / "plain", self.blobs / "zipped"
        with tarfile.open(plain, "w") as tar:
            entry = tarfile.TarInfo(f"random{number}")
            entry.size = size
            tar.addfile(entry, Random(size))
        digest = f"sha256:{sha256(plain)}"
        with plain.open("rb") as source, gzip.GzipFile(zipped, "wb", 0, mtime=0) as out:
            shutil.copyfileobj(source, out, BLOCK)
        plain.unlink()
        descriptor = self._keep(LAYER, zipped)
        self.sizes[descriptor["digest"]] = descriptor["size"]
        return descriptor, digest

    def _json(self, kind: str, value: Any) -> dict[str, Any]:
        path = self.blobs / "json"
        path.write_text(json.dumps(value))
        return self._keep(kind, path)

    def _keep(self, kind: str, path: Path) -> dict[str, Any]:
        """Name a file by its digest; give its descriptor."""
        name, size = sha256(path), path.stat().st_size
        path.rename(self.blobs / name)
        return {"mediaType": kind, "digest": f"sha256:{name}", "size": size}


class Random:
    """A file of random bytes that is never whole anywhere."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        given = self.left if size < 0 else min(size, self.left)
        self.left -= given
        return os.urandom(given)


def configuration(tars: list[str]) -> dict[str, Any]:
    """The configuration of an image with these layers, which does nothing when it is run."""
    platform = {"architecture": "amd64", "os": "linux"}
    return {**platform, "config": {}, "rootfs": {"type": "layers", "diff_ids": tars}}


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        hasher = hashlib.sha256()
        while block := file.read(BLOCK):
            hasher.update(block)
    return hasher.hexdigest()
