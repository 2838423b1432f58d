"""What is tested by replaying requests, because the program itself cannot be run here.

A test that does so adds an entry; ``doc/compatibility.rst`` lists them.
"""

from __future__ import annotations

import attrs

__all__ = ["REPLAYED", "Replayed"]


@attrs.frozen(kw_only=True)
class Replayed:
    """One program whose requests are replayed.

    :ivar client: with its version.
    :ivar what: the requests, in a few words.
    :ivar test: the file that does it, from the root of the repository.
    """

    client: str
    what: str
    test: str


_BY = "tests/integration/test_replays_"

REPLAYED: tuple[Replayed, ...] = (
    Replayed(
        client="containerd 2.1 and later",
        what="parallel open-ended ranges, each left after a chunk; ranges of manifests",
        test=f"{_BY}containerd.py",
    ),
    Replayed(
        client="containerd 2.3 and later",
        what="headers before the data",
        test=f"{_BY}containerd.py",
    ),
    Replayed(
        client="dockerd 29, store of containerd",
        what="a pull with ?ns=docker.io",
        test=f"{_BY}containerd.py",
    ),
    Replayed(
        client="dockerd, graph driver; docker-registry",
        what="a pull with Accept lines in any order; a pull through",
        test=f"{_BY}docker.py",
    ),
    Replayed(
        client="containers/image 5.36 (podman, CRI-O, skopeo, buildah)",
        what="bodies that are continued; several ranges of a layer (zstd:chunked)",
        test=f"{_BY}containersimage.py",
    ),
    Replayed(
        client="PouchContainer of 2020",
        what="image-proxy with signed URLs of a storage; registry-mirrors",
        test=f"{_BY}pouch.py",
    ),
    Replayed(
        client="stargz-snapshotter, SOCI",
        what="sizes; chunks, several in one request or in parallel",
        test=f"{_BY}lazy.py",
    ),
    Replayed(
        client="nydusd",
        what="parts and whole blobs as a proxy, with its headers; whose error it is",
        test=f"{_BY}lazy.py",
    ),
    Replayed(
        client="overlaybd",
        what="blocks behind the prefix, of the registry and of a signed URL",
        test=f"{_BY}lazy.py",
    ),
)
