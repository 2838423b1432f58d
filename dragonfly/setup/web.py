"""A small HTTP client that blocks: one request on one connection, bounded in size and time."""

from __future__ import annotations

import hashlib
import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import attrs
from cryptography import x509

from dragonfly.errors import OriginUnreachable
from dragonfly.net.certificates import pin_of

__all__ = ["LIMIT", "Reply", "get", "unchecked"]

TIMEOUT_S = 10.0
"""Of connecting, and of each read."""

LIMIT = 4 << 20
"""Bytes of a body; a manifest may have no more either."""

_BLOCK = 1 << 16


@attrs.frozen(kw_only=True)
class Reply:
    """One answer.

    :ivar headers: by their name in lower case.
    :ivar body: its first :data:`LIMIT` bytes.
    :ivar size: bytes of the whole body.
    :ivar sha256: of the whole body, in hexadecimal.
    :ivar pin: SHA-256 of the server's public key; ``None`` without TLS.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    size: int
    sha256: str
    pin: bytes | None = None


def unchecked() -> ssl.SSLContext:
    """Believe any certificate: the caller looks at the key itself, or sends nothing secret."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def get(
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    context: ssl.SSLContext | None = None,
    most: int = LIMIT,
) -> Reply:
    """Ask once; redirects are not followed, proxies of the environment not used.

    :param most: a body of more bytes is an error.
    :raises OriginUnreachable: no answer, or no whole one; the text has no query.
    """
    parts = urlsplit(url)
    name = parts.netloc.rpartition("@")[2]
    try:
        connection = _connection(parts.scheme, parts.hostname or "", parts.port, context)
    except ValueError:
        raise OriginUnreachable(f"{name}: not an address") from None
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Connection": "close", **(headers or {})})
        pin = _pin(connection)
        return _reply(connection.getresponse(), pin, most)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise OriginUnreachable(f"{name}: {reason}") from None
    finally:
        connection.close()


def _connection(
    scheme: str, host: str, port: int | None, context: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)


def _pin(connection: http.client.HTTPConnection) -> bytes | None:
    """What peers remember of a supernode: see ``known_supernodes``."""
    if not isinstance(connection.sock, ssl.SSLSocket):
        return None
    shown = connection.sock.getpeercert(binary_form=True)
    if shown is None:
        return None
    return pin_of(x509.load_der_x509_certificate(shown))


def _reply(response: http.client.HTTPResponse, pin: bytes | None, most: int) -> Reply:
    digest, body, size = hashlib.sha256(), b"", 0
    while block := response.read(_BLOCK):
        digest.update(block)
        size += len(block)
        if size > most:
            raise ValueError(f"more than {most} bytes")
        if size <= LIMIT:
            body += block
    if response.length:  # read() with a size does not mind a body that ends early
        raise ValueError(f"the body ended {response.length} bytes early")
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(
        status=response.status,
        headers=headers,
        body=body,
        size=size,
        sha256=digest.hexdigest(),
        pin=pin,
    )
