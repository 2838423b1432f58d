"""Which requests go through the swarm."""

from __future__ import annotations

import pytest

from dragonfly.daemon.routing.rules import Rule, Rules, matched_text
from dragonfly.errors import ConfigError

DIGEST = b"sha256:" + b"0" * 64


def text(target: bytes) -> str:
    """What expressions see of a request to some registry."""
    return matched_text("https", "r.example:5000", target)


@pytest.mark.parametrize(
    "target",
    [
        b"/v2/x/blobs/" + DIGEST,
        b"/v2/a/b/c/blobs/" + DIGEST + b"?ns=docker.io",
        b"/v2/x/blobs/sha256%3A" + b"0" * 64,
        b"/docker/registry/v2/blobs/sha256/1b/1b00/data?Expires=1&OSSAccessKeyId=x&Signature=y",
    ],
)
def test_blobs_by_default(target: bytes) -> None:
    """Whatever the repository is called, with a query, and in a storage behind a registry."""
    rule = Rules().first(text(target))
    assert rule is not None
    assert not rule.direct


@pytest.mark.parametrize(
    "target",
    [
        b"/v2/",
        b"/v2/x/manifests/latest",
        b"/v2/x/manifests/" + DIGEST,
        b"/v2/x/blobs/uploads/1?digest=/x/blobs/" + DIGEST,
        b"/v2/x/blobs/sha512:00",
    ],
)
def test_nothing_else(target: bytes) -> None:
    """Manifests, uploads, other digests; the query decides nothing."""
    assert Rules().first(text(target)) is None


def test_the_first_match_wins() -> None:
    """An exception before a rule counts, after it it does not; layers come last of all."""
    all_blobs, not_x = Rule(regx="/blobs/"), Rule(regx="/v2/x/", direct=True)
    target = text(b"/v2/x/blobs/" + DIGEST)
    assert Rules([not_x, all_blobs]).first(target) is not_x
    assert Rules([all_blobs, not_x]).first(target) is all_blobs
    assert Rules([Rule(regx="nothing")]).first(target) is not None


def test_what_expressions_see() -> None:
    """The whole URL: host, path as it is meant, query as it is; bytes that are no text do no
    harm."""
    assert text(b"/a%20b?c=%2Fd") == "https://r.example:5000/a b?c=%2Fd"
    assert text(b"/%ff\xff").startswith("https://r.example:5000/")
    assert Rule(regx=r"^https://r\.example:5000/.*\.whl$").matches(text(b"/p/a.whl"))


def test_a_malformed_expression() -> None:
    """The error shows it."""
    with pytest.raises(ConfigError, match=r"\(blobs"):
        Rule(regx="(blobs")


@pytest.mark.parametrize("place", ["https://h.example:99999", "https://[::1", "ftp://h.example"])
def test_nowhere(place: str) -> None:
    """A place that cannot be asked is noticed at once."""
    with pytest.raises(ConfigError):
        Rule(regx="x", redirect=place)
