"""An image to push, and whether what a registry has is the same."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import Path
from typing import IO

import attrs

from tests.e2e.rig.files import MIB
from tests.e2e.rig.images import Blob, Image, Layout

__all__ = ["Cargo", "contents"]


@attrs.frozen(kw_only=True)
class Cargo:
    """An image of one layer in a layout, where it has a tag of its own."""

    layout: Layout
    image: Image
    tag: str

    @property
    def source(self) -> str:
        """As programs of the containers/image family name it."""
        return f"oci:{self.layout.path}:{self.tag}"

    @property
    def layer(self) -> Path:
        """The file with the layer."""
        return self.layout.file(self.image.layers[0])

    def archive(self, file: Path, reference: str) -> None:
        """Write a tar archive of a layout with nothing but this image, under that name."""
        described = self.image.manifest.described
        named = {**described, "annotations": {"io.containerd.image.name": reference}}
        index = {"schemaVersion": 2, "manifests": [named]}
        (self.layout.path / "index-of-one").write_text(json.dumps(index))
        parts = {"oci-layout": "oci-layout", "index.json": "index-of-one"}
        for blob in (self.image.manifest, *self.image.layers, *self.image.others):
            parts[_name(blob)] = _name(blob)
        with tarfile.open(file, "w") as out:
            for name, source in parts.items():
                out.add(self.layout.path / source, name)


def _name(blob: Blob) -> str:
    return f"blobs/sha256/{blob.hex}"


def contents(layer: Path) -> dict[str, str]:
    """The files in a layer, with their SHA-256: they are the same however it was packed."""
    with gzip.open(layer) as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
        return {
            entry.name: _sha256(source)
            for entry in archive
            if (source := archive.extractfile(entry)) is not None
        }


def _sha256(source: IO[bytes]) -> str:
    hasher = hashlib.sha256()
    while part := source.read(MIB):
        hasher.update(part)
    return hasher.hexdigest()
