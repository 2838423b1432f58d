"""Ed25519 keys: the one module that signs and verifies.

Everything that must be believed without asking again is signed: runs and grants by the
supernode, handshakes and control calls by the peer. A public key is 32 bytes, a signature
64 (RFC 8032).
"""

from __future__ import annotations

from collections.abc import Iterable

from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

__all__ = [
    "KEY_BYTES",
    "KEY_ID_BYTES",
    "SIGNATURE_BYTES",
    "KeyRing",
    "SigningKey",
    "key_id",
    "verify",
]

KEY_BYTES = 32
SIGNATURE_BYTES = 64
KEY_ID_BYTES = 8


class SigningKey:
    """A private key; its text form never shows more than the public half."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public: bytes = private.public_key().public_bytes_raw()
        self.key_id: bytes = key_id(self.public)

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, data: bytes) -> SigningKey:
        """Read the 32 bytes that :meth:`to_bytes` gave.

        :raises ValueError: it is not 32 bytes.
        """
        if len(data) != KEY_BYTES:
            raise ValueError(f"a signing key has {KEY_BYTES} bytes, not {len(data)}")
        return cls(Ed25519PrivateKey.from_private_bytes(data))

    def to_bytes(self) -> bytes:
        """Give the 32 secret bytes."""
        return self._private.private_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """Give the 64-byte signature of ``data``."""
        return self._private.sign(data)

    def __repr__(self) -> str:
        return f"<SigningKey {self.public.hex()[:16]}>"


class KeyRing:
    """The public keys that are believed, found by their short id."""

    def __init__(self, publics: Iterable[bytes] = ()) -> None:
        self._keys: dict[bytes, bytes] = {}
        for public in publics:
            self.add(public)

    def add(self, public: bytes) -> None:
        """Believe one more key.

        :raises ValueError: it is not 32 bytes.
        """
        if len(public) != KEY_BYTES:
            raise ValueError(f"a public key has {KEY_BYTES} bytes, not {len(public)}")
        self._keys[key_id(public)] = public

    def find(self, short: bytes) -> bytes | None:
        """Give the key with this id, or None."""
        return self._keys.get(short)

    @property
    def publics(self) -> tuple[bytes, ...]:
        """All keys, oldest first."""
        return tuple(self._keys.values())


def key_id(public: bytes) -> bytes:
    """Give the 8 bytes by which messages name a key: the first of its BLAKE3."""
    return blake3(public).digest(length=KEY_ID_BYTES)


def verify(public: bytes, signature: bytes, data: bytes) -> bool:
    """Tell whether ``signature`` of ``data`` was made by the holder of ``public``.

    A key or signature of the wrong length is just not valid.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
