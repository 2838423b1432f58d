"""Bearer tokens as the reference registry wants them: JWT signed with ES256."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

__all__ = ["access", "signed"]

_LIFE_S = 300
_NUMBER_BYTES = 32


def access(scopes: list[str]) -> list[dict[str, Any]]:
    """What ``repository:NAME:pull,push`` asks for, as a token grants it."""
    parts = [scope.split(":") for scope in " ".join(scopes).split()]
    return [
        {"type": kind, "name": ":".join(name), "actions": actions.split(",")}
        for kind, *name, actions in parts
    ]


def signed(
    key: ec.EllipticCurvePrivateKey,
    granted: list[dict[str, Any]],
    *,
    user: str,
    service: str,
    issuer: str,
    now: int,
) -> str:
    """A token that ``issuer`` gives ``user`` for ``service``."""
    header = {"typ": "JWT", "alg": "ES256", "kid": _key_id(key)}
    claims = {
        "iss": issuer,
        "sub": user,
        "aud": service,
        "nbf": now - 60,
        "iat": now,
        "exp": now + _LIFE_S,
        "jti": f"{now}",
        "access": granted,
    }
    text = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{_encoded(b''.join(n.to_bytes(_NUMBER_BYTES, 'big') for n in (r, s)))}"


def _key_id(key: ec.EllipticCurvePrivateKey) -> str:
    """As the registry names a key: 240 bits of its SHA-256 in groups of four characters."""
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = base64.b32encode(hashlib.sha256(public).digest()[:30]).decode()
    return ":".join(text[begin : begin + 4] for begin in range(0, len(text), 4))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
