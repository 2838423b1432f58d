"""Keys and signatures: RFC 8032, and nothing secret in texts."""

from __future__ import annotations

import pytest
from blake3 import blake3

from dragonfly.signatures import KeyRing, SigningKey, key_id, verify

# RFC 8032, 7.1, test 2.
SECRET = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNED = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_vector() -> None:
    """Keys and signatures are those of the standard, so other programs can check them."""
    key = SigningKey.from_bytes(SECRET)
    assert key.public == PUBLIC
    assert key.sign(b"\x72") == SIGNED
    assert verify(PUBLIC, SIGNED, b"\x72")
    assert key.key_id == key_id(PUBLIC) == blake3(PUBLIC).digest()[:8]


def test_keys_come_back() -> None:
    """What was written to a file is the same key."""
    key = SigningKey.generate()
    assert SigningKey.from_bytes(key.to_bytes()).public == key.public
    assert SigningKey.generate().public != key.public


@pytest.mark.parametrize("size", [0, 31, 33])
def test_key_of_a_wrong_size(size: int) -> None:
    """A cut key file is told with both numbers."""
    with pytest.raises(ValueError, match=f"32 bytes, not {size}"):
        SigningKey.from_bytes(bytes(size))
    with pytest.raises(ValueError, match=f"32 bytes, not {size}"):
        KeyRing([bytes(size)])


def test_what_is_not_valid() -> None:
    """Wrong data, key, signature or length of either: just not valid, never an exception."""
    assert not verify(PUBLIC, SIGNED, b"\x73")
    assert not verify(SigningKey.generate().public, SIGNED, b"\x72")
    assert not verify(PUBLIC, SIGNED[::-1], b"\x72")
    assert not verify(PUBLIC, SIGNED[:-1], b"\x72")
    assert not verify(PUBLIC[:-1], SIGNED, b"\x72")
    assert not verify(b"", b"", b"")
    assert not verify(b"\xff" * 32, SIGNED, b"\x72")


def test_secrets_do_not_show() -> None:
    """A key in a log line shows its public half only."""
    key = SigningKey.from_bytes(SECRET)
    shown = f"{key!r} {key}"
    assert PUBLIC.hex()[:16] in shown
    assert SECRET.hex()[:8] not in shown


def test_ring() -> None:
    """Keys are found by their id, each once, in the order they came."""
    first, second = SigningKey.generate(), SigningKey.generate()
    ring = KeyRing([first.public])
    ring.add(second.public)
    ring.add(first.public)
    assert ring.publics == (first.public, second.public)
    assert ring.find(second.key_id) == second.public
    assert ring.find(b"\0" * 8) is None
