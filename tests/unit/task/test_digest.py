"""Digest names: what is read, how it is written, what is refused."""

from __future__ import annotations

import hashlib

import pytest
from blake3 import blake3

from dragonfly.errors import ConfigError
from dragonfly.task.digest import ALGORITHMS, Digest, PieceHasher, new_hasher, piece_digest

EMPTY = {
    "md5": hashlib.md5(b"").hexdigest(),
    "sha256": hashlib.sha256(b"").hexdigest(),
    "sha512": hashlib.sha512(b"").hexdigest(),
    "blake3": blake3(b"").hexdigest(),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_reading_and_writing(algorithm: str) -> None:
    """One spelling comes out, whatever case of letters went in."""
    text = f"{algorithm}:{EMPTY[algorithm]}"
    digest = Digest.parse(text)
    assert str(digest) == text
    assert Digest.parse(text.upper()) == digest
    assert new_hasher(algorithm).digest() == digest.value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the algorithm is not one of"),
        ("sha256", "the algorithm is not one of"),
        ("crc32:00", "the algorithm is not one of md5, sha256, sha512, blake3"),
        ("sha256:", "0 hex digits, sha256 has 64"),
        ("md5:00", "2 hex digits, md5 has 32"),
        ("md5:" + "0" * 33, "33 hex digits"),
        ("md5:" + "g" * 32, "not hexadecimal"),
        ("md5:" + "00 " * 10 + "00", "not hexadecimal"),
        ("md5: " + "0" * 31, "not hexadecimal"),
        ("md5:" + "\u0660" * 32, "not hexadecimal"),
    ],
)
def test_refused(text: str, why: str) -> None:
    """The error quotes what was given; white space between digits is no digest."""
    with pytest.raises(ConfigError, match=why):
        Digest.parse(text)


def test_hashing_in_parts() -> None:
    """How the bytes are cut does not matter."""
    hasher = PieceHasher()
    for part in (b"one", memoryview(b"two"), b""):
        hasher.update(part)
    assert hasher.digest() == piece_digest(b"onetwo") == blake3(b"onetwo").digest()


def test_unknown_algorithm() -> None:
    """A name from a file that a later version wrote is told as what it is."""
    with pytest.raises(ConfigError, match="'sha3' is unknown"):
        new_hasher("sha3")
