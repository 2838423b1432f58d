"""Which requests are for the swarm, and what they ask for."""

from __future__ import annotations

from typing import Any

import pytest

from dragonfly.daemon.blobs.eligibility import Unfit, source_of
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.routing.registry import parse_registry
from tests.doubles.responding import FedBody, HeardResponder, request, routed

REGISTRY = parse_registry("https://registry.example")
DIGEST = "sha256:" + "a" * 64
BLOB = b"/v2/lib/image/blobs/" + DIGEST.encode()


def asked(target: bytes = BLOB, *lines: tuple[bytes, bytes], length: int | None = 0) -> Source:
    """What such a request asks for."""
    route = routed(request(b"GET", target, *lines), REGISTRY)
    responder = HeardResponder(request(), FedBody(length))
    clients: dict[Any, Any] = {(REGISTRY.trust, REGISTRY.local): "client"}
    return source_of(responder, route, lambda trust, local: clients[trust, local])


def test_a_blob() -> None:
    """Its name is its digest, and the caller's right to it goes along."""
    source = asked(BLOB, (b"Authorization", b"Bearer x"), (b"Range", b"bytes=0-1"))
    assert source.url == f"https://registry.example{BLOB.decode()}"
    assert str(source.digest) == DIGEST
    assert source.headers == (("Authorization", "Bearer x"),)
    assert source.client == "client"  # type: ignore[comparison-overlap]


def test_signatures_are_no_part_of_a_name() -> None:
    """Those that are known, unless the caller says which parameters are not."""
    signed = b"/file?X-Amz-Signature=1&X-Amz-Date=2&v=3"
    assert "v" not in asked(signed).filters
    assert asked(signed).name == asked(signed.replace(b"=1", b"=4")).name
    told = asked(signed, (b"X-Dragonfly-Filtered-Query-Params", b"v"))
    assert told.filters == ("v",)
    assert told.name != asked(signed).name


def test_a_tag_makes_another_name() -> None:
    """Of the same URL."""
    tagged = asked(b"/file", (b"X-Dragonfly-Tag", b"nightly"))
    assert tagged.identifier == "nightly"
    assert tagged.name != asked(b"/file").name


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda: asked(BLOB, (b"If-None-Match", b'"1"')), "a conditional request"),
        (lambda: asked(length=3), "one with a body"),
        (lambda: asked(length=None), "one with a body"),
        (lambda: asked(BLOB, (b"Via", b"1.1 dragonfly")), "would wait for itself"),
        (lambda: asked(b"/\xff"), "not text"),
        (lambda: asked(BLOB, (b"X", b"\xff")), "not text"),
    ],
)
def test_not_for_the_swarm(ask: Any, why: str) -> None:
    """Only the origin's own answer will do."""
    with pytest.raises(Unfit, match=why):
        ask()
