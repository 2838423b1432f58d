"""What went out from the swarm is hashed again only if the registry brings the rest."""

from __future__ import annotations

import hashlib
from typing import Any

from twisted.internet.defer import Deferred

from dragonfly.daemon.blobs.sentfront import SentFront
from dragonfly.peer.download.request import FetchRequest
from dragonfly.task.digest import Digest, Hasher
from tests.doubles.blob import FakeDownload

BODY = b"what went out, and more"
SHA256 = Digest.parse("sha256:" + "0" * 64)


def download() -> FakeDownload:
    """One that has all of it."""
    return FakeDownload(FetchRequest(url="https://a/b"), BODY)


def hashed(front: SentFront, end: int) -> str:
    """The digest of what the hasher has taken."""
    found: list[Hasher] = []
    hashing: Deferred[Any] = Deferred.fromCoroutine(front.hasher(SHA256, end))
    hashing.addCallback(found.append)
    return found[0].hexdigest()


def test_so_much_of_it_is_hashed() -> None:
    """From the beginning."""
    front = SentFront()
    front.keep(download())
    assert hashed(front, 13) == hashlib.sha256(BODY[:13]).hexdigest()
    front.release()


def test_nothing_went_out() -> None:
    """Nothing is read then."""
    assert hashed(SentFront(), 0) == hashlib.sha256().hexdigest()


def test_the_latest_is_kept() -> None:
    """Each is let go once."""
    front, one, two = SentFront(), download(), download()
    front.keep(one)
    front.keep(two)
    assert [one.prefixes[0].released, two.prefixes[0].released] == [True, False]
    front.release()
    front.release()
    assert two.prefixes[0].released
