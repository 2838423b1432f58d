"""URLs that are good for a while and for one file, in the form that S3 gives them."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlencode

__all__ = ["checked", "signed"]

_DATE, _LIFE, _SIGNATURE = "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature"


def signed(path: str, secret: bytes, *, now: int, life_s: int = 60) -> str:
    """The path with a query that lets its bearer have it for ``life_s`` seconds."""
    parts = {_DATE: str(now), _LIFE: str(life_s)}
    return f"{path}?{urlencode({**parts, _SIGNATURE: _mac(path, parts, secret)})}"


def checked(path: str, query: dict[str, str], secret: bytes, *, now: int) -> str:
    """Why a URL is no good; empty if it is."""
    if _SIGNATURE not in query:
        return "not signed"
    parts = {name: query.get(name, "0") for name in (_DATE, _LIFE)}
    if not hmac.compare_digest(_mac(path, parts, secret), query[_SIGNATURE]):
        return "wrong signature"
    return "expired" if now > int(parts[_DATE]) + int(parts[_LIFE]) else ""


def _mac(path: str, parts: dict[str, str], secret: bytes) -> str:
    text = "\n".join([path, *(parts[name] for name in (_DATE, _LIFE))])
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
