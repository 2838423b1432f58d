"""Names of images, and manifests."""

from __future__ import annotations

import json

import pytest

from dragonfly.errors import ConfigError, OriginError
from dragonfly.setup.image import Blob, parse_image, smallest, submanifest

SHA = "sha256:" + "0" * 64
OTHER = "sha256:" + "1" * 64


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("grafana/loki:2", "docker.io/grafana/loki:2"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("ghcr.io/a/b/c:1.2", "ghcr.io/a/b/c:1.2"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        (f"r.test/app@{SHA}", f"r.test/app@{SHA}"),
        ("http://r/app:1", "r/app:1"),
    ],
)
def test_names(text: str, said: str) -> None:
    """As docker reads them."""
    assert str(parse_image(text)) == said


def test_a_url_tells_the_scheme() -> None:
    """For registries without TLS."""
    assert parse_image("http://r.test:5000/app").registry.server == "http://r.test:5000"


@pytest.mark.parametrize("text", ["", "A/b", "r.test/", "r.test/a:", "http://u:p@r/app", "a b"])
def test_no_names(text: str) -> None:
    """And nothing secret in the error."""
    with pytest.raises(ConfigError, match="--image"):
        parse_image(text)


def index(*entries: tuple[str, str, str]) -> bytes:
    """An index of several platforms."""
    manifests = [
        {"digest": digest, "platform": {"os": system, "architecture": machine}}
        for digest, system, machine in entries
    ]
    return json.dumps({"manifests": manifests}).encode()


def test_an_index() -> None:
    """This machine's, else the first."""
    both = index((SHA, "linux", "s390x"), (OTHER, "linux", "amd64"))
    assert submanifest(both, "amd64") == OTHER
    assert submanifest(both, "riscv64") == SHA
    assert submanifest(b'{"layers": []}', "amd64") is None


def test_the_smallest_blob() -> None:
    """Not one that lies somewhere else."""
    manifest = {
        "config": {"digest": SHA, "size": 20},
        "layers": [
            {"digest": OTHER, "size": 10},
            {"digest": SHA, "size": 1, "urls": ["https://x"]},
            {"digest": "md5:1", "size": 1},
            "nonsense",
        ],
    }
    assert smallest(json.dumps(manifest).encode()) == Blob(OTHER, 10)
    assert smallest(b"{}") is None


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>"])
def test_no_manifest(body: bytes) -> None:
    """An answer of something that is no registry."""
    with pytest.raises(OriginError, match="JSON"):
        smallest(body)
