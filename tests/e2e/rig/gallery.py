"""Images of all the kinds that registries hold, without a program that makes them."""

from __future__ import annotations

import gzip
import hashlib
import random
import tarfile

import attrs

from tests.e2e.rig.files import MIB
from tests.e2e.rig.images import Blob, Image, Layout, archive

__all__ = ["Gallery"]

_OCI = "application/vnd.oci.image"
_DOCKER = "application/vnd.docker"
_FRAME = b"\x28\xb5\x2f\xfd\x00\x58"  # magic, no sizes, a window of 2 MiB
_BLOCK = 128 * 1024  # the most that a block of zstd holds
_SMALL = MIB // 2


class Gallery(Layout):
    """A layout; :meth:`fresh` gives an image that nobody has seen."""

    _seeds = 1000

    def seed(self) -> int:
        """A number that was not given before."""
        self._seeds += 1
        return self._seeds

    def fresh(self, *sizes: int) -> Image:
        """An OCI image with layers of these sizes, or two small ones."""
        found = sizes or (_SMALL, _SMALL // 7)
        return self.image(*(self.layer(size, seed=self.seed()) for size in found))

    def schema2(self) -> Image:
        """An image of docker's own form."""
        rootfs = f"{_DOCKER}.image.rootfs.diff.tar.gzip"
        layers = [
            attrs.evolve(self.layer(_SMALL, seed=self.seed()), media_type=rootfs) for _ in range(2)
        ]
        config = attrs.evolve(
            self.image(*layers).config, media_type=f"{_DOCKER}.container.image.v1+json"
        )
        return self.manifest(f"{_DOCKER}.distribution.manifest.v2+json", config, *layers)

    def many(self, count: int = 30) -> Image:
        """An image of many layers."""
        return self.fresh(*(1000 + 500 * number for number in range(count)))

    def several(self) -> Image:
        """An index of two architectures."""
        sizes = {"amd64": _SMALL, "arm64": _SMALL // 3}
        images = [
            self.image(self.layer(size, seed=self.seed()), architecture=name)
            for name, size in sizes.items()
        ]
        return self.index(*images, tag="")

    def empty(self) -> Image:
        """An image whose second layer holds no file."""
        data = bytes(2 * tarfile.BLOCKSIZE)
        packed = gzip.compress(data, mtime=0)
        kind = f"{_OCI}.layer.v1.tar+gzip"
        nothing = self.blob(packed, kind, f"sha256:{hashlib.sha256(data).hexdigest()}")
        return self.image(self.layer(_SMALL, seed=self.seed()), nothing)

    def zstd(self) -> Image:
        """An image whose layer is packed with zstd, in blocks that are not made smaller."""
        seed = self.seed()
        data = b"".join(archive(f"data-{seed}", _SMALL, random.Random(seed)))
        diff = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return self.image(self.blob(_zstd(data), f"{_OCI}.layer.v1.tar+zstd", diff))

    def pair(self) -> tuple[Image, Image]:
        """Two images with a layer in common."""
        shared, *own = (self.layer(_SMALL, seed=self.seed()) for _ in range(3))
        first, second = (self.image(shared, layer) for layer in own)
        return first, second

    def foreign(self, url: str) -> tuple[Image, Blob]:
        """An image whose second layer is at ``url`` and not in the registry; and that layer."""
        own, other = (self.layer(_SMALL, seed=self.seed()) for _ in range(2))
        kind = f"{_OCI}.layer.nondistributable.v1.tar+gzip"
        elsewhere = attrs.evolve(other, media_type=kind, url=f"{url}/{other.hex}")
        return self.image(own, elsewhere), elsewhere

    def artifact(self) -> Image:
        """What oras makes: a file that is no layer, and an empty configuration."""
        config = self.blob(b"{}", "application/vnd.oci.empty.v1+json")
        data = random.Random(self.seed()).randbytes(_SMALL)
        file = self.blob(data, "application/vnd.example.model.v1")
        kind = "application/vnd.example.model"
        return self.manifest(f"{_OCI}.manifest.v1+json", config, file, artifactType=kind)


def _zstd(data: bytes) -> bytes:
    """One frame of raw blocks."""
    out = [_FRAME]
    for begin in range(0, len(data), _BLOCK):
        block = data[begin : begin + _BLOCK]
        last = begin + _BLOCK >= len(data)
        out += [(len(block) << 3 | last).to_bytes(3, "little"), block]
    return b"".join(out)
