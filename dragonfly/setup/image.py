"""Names of images, and what a manifest says of one; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

from dragonfly.daemon.routing.dockerhub import HUB_NAME
from dragonfly.errors import ConfigError, OriginError
from dragonfly.setup.registryname import RegistryName, parse_name

__all__ = ["ACCEPT", "Blob", "Image", "parse_image", "smallest", "submanifest"]

ACCEPT = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
"""What engines take: without it a registry converts the manifest, or refuses it."""

_IMAGE = re.compile(
    r"(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::(?P<tag>\w[\w.-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@attrs.frozen
class Image:
    """One image.

    :ivar reference: a tag or a digest.
    """

    registry: RegistryName
    name: str
    reference: str

    def __str__(self) -> str:
        mark = "@" if self.reference.startswith("sha256:") else ":"
        return f"{self.registry.host}/{self.name}{mark}{self.reference}"


@attrs.frozen
class Blob:
    """What a manifest says of one blob."""

    digest: str
    size: int


def parse_image(text: str) -> Image:
    """Read ``[http[s]://][HOST/]NAME[:TAG|@DIGEST]``; without a host it is Docker Hub's.

    :raises ConfigError: it is not of that form.
    """
    scheme, marked, rest = text.rpartition("://")
    first, _, path = rest.partition("/")
    named = marked or ("/" in rest and (first == "localhost" or "." in first or ":" in first))
    registry = parse_name(f"{scheme}{marked}{first}" if named else HUB_NAME, "--image")
    found = _IMAGE.fullmatch(path if named else rest)
    if found is None:
        raise ConfigError(f"--image: {text!r} is not of the form HOST/NAME[:TAG]")
    name = found["name"]
    if registry.hub and "/" not in name:
        name = f"library/{name}"
    return Image(registry, name, found["digest"] or found["tag"] or "latest")


def submanifest(body: bytes, architecture: str) -> str | None:
    """Give the digest of an index's manifest for Linux on this architecture, else of its first
    one; ``None``: it is no index.

    :raises OriginError: it is no JSON object.
    """
    entries = _object(body).get("manifests")
    if not isinstance(entries, list) or not entries:
        return None
    entries = [each for each in entries if isinstance(each, Mapping)]

    def other(entry: Mapping[str, Any]) -> bool:
        platform = entry.get("platform") or {}
        return (platform.get("os"), platform.get("architecture")) != ("linux", architecture)

    return str(min(entries, key=other).get("digest", ""))


def smallest(body: bytes) -> Blob | None:
    """Give the smallest blob of a manifest that the registry itself has; ``None``: it has none.

    :raises OriginError: it is no JSON object.
    """
    manifest = _object(body)
    layers = manifest.get("layers")
    entries = [manifest.get("config"), *(layers if isinstance(layers, list) else [])]
    blobs = []
    for each in entries:
        if isinstance(each, Mapping) and not each.get("urls"):
            digest, size = str(each.get("digest", "")), each.get("size")
            if re.fullmatch(r"sha256:[0-9a-f]{64}", digest) and isinstance(size, int):
                blobs.append(Blob(digest, size))
    return min(blobs, key=lambda blob: blob.size, default=None)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise OriginError("the manifest is no JSON object")
    return value
