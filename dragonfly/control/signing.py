"""Control calls are signed with the caller's key: nobody registers or announces for others."""

from __future__ import annotations

from dragonfly.signatures import SigningKey, verify

__all__ = ["SIGNATURE_HEADER", "check_body", "sign_body"]

SIGNATURE_HEADER = "X-Dragonfly-Signature"
_CONTEXT = b"dragonfly control\0"


def sign_body(key: SigningKey, path: str, body: bytes) -> str:
    """Give the value of :data:`SIGNATURE_HEADER` for a body sent to ``path``."""
    return key.sign(_signed(path, body)).hex()


def check_body(public: bytes, path: str, body: bytes, signature: str) -> bool:
    """Tell whether the holder of ``public`` signed this body for this path."""
    try:
        raw = bytes.fromhex(signature)
    except ValueError:
        return False
    return verify(public, raw, _signed(path, body))


def _signed(path: str, body: bytes) -> bytes:
    return _CONTEXT + path.encode() + b"\0" + body
