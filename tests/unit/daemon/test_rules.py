"""Which requests go through the swarm."""

from __future__ import annotations

import pytest

from dragonfly.daemon.rules import Rule, Rules, path_of
from dragonfly.errors import ConfigError

DIGEST = b"sha256:" + b"0" * 64


@pytest.mark.parametrize(
    "target",
    [
        b"/v2/x/blobs/" + DIGEST,
        b"/v2/a/b/c/blobs/" + DIGEST + b"?ns=docker.io",
        b"/v2/x/blobs/sha256%3A" + b"0" * 64,
    ],
)
def test_blobs_by_default(target: bytes) -> None:
    """Whatever the repository is called, and with a query."""
    assert Rules().through_swarm(b"GET", target)


@pytest.mark.parametrize(
    "target",
    [
        b"/v2/",
        b"/v2/x/manifests/latest",
        b"/v2/x/manifests/" + DIGEST,
        b"/blobs/" + DIGEST,
        b"/v2/x/blobs/uploads/1?digest=/x/blobs/" + DIGEST,
        b"/v2/x/blobs/sha512:00",
    ],
)
def test_nothing_else(target: bytes) -> None:
    """Manifests, uploads, other digests; the query decides nothing."""
    assert not Rules().through_swarm(b"GET", target)


@pytest.mark.parametrize("method", [b"HEAD", b"PUT", b"DELETE", b"get"])
def test_only_gets(method: bytes) -> None:
    """Everything else is for the registry."""
    assert not Rules().through_swarm(method, b"/v2/x/blobs/" + DIGEST)


def test_the_first_match_wins() -> None:
    """An exception before a rule counts, after it it does not."""
    all_blobs, not_x = Rule(regx="/blobs/"), Rule(regx="^/v2/x/", direct=True)
    target = b"/v2/x/blobs/" + DIGEST
    assert not Rules([not_x, all_blobs]).through_swarm(b"GET", target)
    assert Rules([all_blobs, not_x]).through_swarm(b"GET", target)
    assert not Rules([]).through_swarm(b"GET", target)


def test_a_malformed_expression() -> None:
    """The error shows it."""
    with pytest.raises(ConfigError, match=r"\(blobs"):
        Rule(regx="(blobs")


def test_path() -> None:
    """Decoded, without query; bytes that are no text do no harm."""
    assert path_of(b"/a%20b?c=/d") == "/a b"
    assert path_of(b"/%ff\xff").startswith("/")
