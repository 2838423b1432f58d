"""Container images to distribute: OCI layouts with layers of random bytes, the same each time.

A layer is a gzip file of level 0 around a tar archive with one file: real engines unpack
it, and neither making nor unpacking it costs time.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import random
import tarfile
from pathlib import Path
from typing import Any

import attrs

from tests.e2e.rig.files import MIB

__all__ = ["Blob", "Image", "Layout", "archive", "machine"]

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_OCI = "application/vnd.oci.image"


@attrs.frozen(kw_only=True)
class Blob:
    """Something that is stored under its digest.

    :ivar diff: the digest of a layer before it was compressed; empty for what is no layer.
    :ivar url: where a foreign layer is; it is not in the registry then.
    """

    media_type: str
    hex: str
    size: int
    diff: str = ""
    url: str = ""

    @property
    def digest(self) -> str:
        """As a registry names it."""
        return f"sha256:{self.hex}"

    @property
    def described(self) -> dict[str, Any]:
        """Its descriptor."""
        described: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest}
        described["size"] = self.size
        return {**described, "urls": [self.url]} if self.url else described


@attrs.frozen(kw_only=True)
class Image:
    """A manifest, or an index of several, and the layers under it.

    :ivar others: configurations, and the manifests under an index.
    :ivar under: the images of an index.
    """

    manifest: Blob
    layers: tuple[Blob, ...]
    architecture: str = ""
    others: tuple[Blob, ...] = ()
    under: tuple[Image, ...] = ()

    @property
    def native(self) -> Image:
        """The one of an index that is for this machine; itself if it is no index."""
        return next((image for image in self.under if image.architecture == machine()), self)

    @property
    def config(self) -> Blob:
        """The configuration of an image for one architecture: its digest is the image's id."""
        (config,) = self.others
        return config


def machine() -> str:
    """The architecture of this machine, as images name it."""
    return _MACHINES.get(platform.machine(), "amd64")


class Layout:
    """An OCI image layout in a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tags: list[dict[str, Any]] = []
        (path / "blobs" / "sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def layer(self, size: int, *, seed: int) -> Blob:
        """A layer with one file of ``size`` random bytes."""
        inner = hashlib.sha256()
        outer = hashlib.sha256()
        new = self.path / "new"
        with new.open("wb") as out:
            sink = _Tee(out, outer)
            with gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=0, mtime=0) as packed:
                for part in archive(f"data-{seed}", size, random.Random(seed)):
                    inner.update(part)
                    packed.write(part)
        kind = f"{_OCI}.layer.v1.tar+gzip"
        return self._keep(new, kind, outer.hexdigest(), f"sha256:{inner.hexdigest()}")

    def image(self, *layers: Blob, architecture: str = "", tag: str = "") -> Image:
        """An image of these layers; with a ``tag`` it can be pushed.

        :param architecture: empty: that of this machine.
        """
        found = architecture or machine()
        config = {
            "architecture": found,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff for layer in layers]},
        }
        kept = self.json(config, f"{_OCI}.config.v1+json")
        image = self.manifest(f"{_OCI}.manifest.v1+json", kept, *layers)
        return self._tagged(attrs.evolve(image, architecture=found), tag)

    def manifest(self, media_type: str, config: Blob, *layers: Blob, **more: Any) -> Image:
        """An image or another artifact of parts that are here.

        :param more: further fields of the manifest.
        """
        value = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": config.described,
            "layers": [layer.described for layer in layers],
            **more,
        }
        return Image(manifest=self.json(value, media_type), layers=layers, others=(config,))

    def index(self, *images: Image, tag: str) -> Image:
        """An image for several architectures."""
        described = [
            {
                **image.manifest.described,
                "platform": {"architecture": image.architecture, "os": "linux"},
            }
            for image in images
        ]
        kind = f"{_OCI}.index.v1+json"
        value = {"schemaVersion": 2, "mediaType": kind, "manifests": described}
        layers = tuple(layer for image in images for layer in image.layers)
        others = tuple(blob for image in images for blob in (image.manifest, *image.others))
        made = Image(manifest=self.json(value, kind), layers=layers, others=others, under=images)
        return self._tagged(made, tag)

    def file(self, blob: Blob) -> Path:
        """Where a blob lies."""
        return self.path / "blobs" / "sha256" / blob.hex

    def _tagged(self, image: Image, tag: str) -> Image:
        if tag:
            named = {"org.opencontainers.image.ref.name": tag}
            self._tags.append({**image.manifest.described, "annotations": named})
            index = {"schemaVersion": 2, "manifests": self._tags}
            (self.path / "index.json").write_text(json.dumps(index))
        return image

    def json(self, value: dict[str, Any], media_type: str) -> Blob:
        """A manifest, a configuration or the like."""
        return self.blob(json.dumps(value).encode(), media_type)

    def blob(self, data: bytes, media_type: str, diff: str = "") -> Blob:
        """Any content."""
        new = self.path / "new"
        new.write_bytes(data)
        return self._keep(new, media_type, hashlib.sha256(data).hexdigest(), diff)

    def _keep(self, new: Path, media_type: str, digest: str, diff: str) -> Blob:
        blob = Blob(media_type=media_type, hex=digest, size=new.stat().st_size, diff=diff)
        new.rename(self.file(blob))
        return blob


class _Tee(io.RawIOBase):
    """Writes to a file and hashes what it writes."""

    def __init__(self, out: io.BufferedIOBase | Any, hasher: Any) -> None:
        self._out = out
        self._hasher = hasher

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._hasher.update(data)
        return int(self._out.write(data))


def archive(name: str, size: int, source: random.Random) -> Any:
    """The parts of a tar archive with one file of random bytes."""
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o644
    yield entry.tobuf(tarfile.USTAR_FORMAT)
    for begin in range(0, size, MIB):
        yield source.randbytes(min(MIB, size - begin))
    yield bytes(-size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)
