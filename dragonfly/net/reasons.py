"""Why a connection or a request failed, in words for a user.

Twisted wraps the cause of a failed request several layers deep, and OpenSSL
speaks in error queues; logs and final lines of dfget need one plain phrase.
"""

from __future__ import annotations

import os

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet import defer, error
from twisted.python.failure import Failure

from dragonfly.errors import DragonflyError

__all__ = ["cause", "innermost", "untrusted"]

_UNTRUSTED = "certificate verify failed"

# The first class that matches counts, so subclasses come before their bases.
_PHRASES: tuple[tuple[type[BaseException], str], ...] = (
    (VerificationError, f"{_UNTRUSTED}: it is made out to another name"),
    (CertificateError, f"{_UNTRUSTED}: it is made out to no name (it has no subjectAltName)"),
    (error.DNSLookupError, "the name cannot be resolved"),
    (error.ConnectionRefusedError, "connection refused"),
    (error.TCPTimedOutError, "no connection in time"),
    (error.TimeoutError, "no connection in time"),
    (error.NoRouteError, "no route to the host"),
    (error.ConnectionDone, "the connection was closed"),
    (error.ConnectionAborted, "the connection was closed"),
    (error.ConnectionLost, "the connection was lost"),
)


def innermost(failure: Failure) -> BaseException | None:
    """Return the first cause inside Twisted's wrappers around a failed request."""
    exc = failure.value
    while reasons := getattr(exc, "reasons", None):
        exc = reasons[0].value
    return exc


def cause(failure: Failure) -> str:
    """Return one short phrase, without addresses, URLs or header values."""
    exc = innermost(failure)
    if isinstance(exc, DragonflyError):
        return str(exc)
    if isinstance(exc, SSL.Error):
        return _tls_phrase(exc)
    if isinstance(exc, defer.TimeoutError):
        return str(exc) or "no answer in time"
    for kind, phrase in _PHRASES:
        if isinstance(exc, kind):
            return phrase
    if isinstance(exc, error.ConnectError) and isinstance(exc.osError, int):
        return os.strerror(exc.osError).lower()
    return f"the answer makes no sense ({type(exc).__name__})"


def untrusted(failure: Failure) -> bool:
    """Tell whether the other side's certificate was not believed."""
    exc = innermost(failure)
    kinds = SSL.Error | VerificationError | CertificateError
    return isinstance(exc, kinds) and cause(failure).startswith(_UNTRUSTED)


def _tls_phrase(exc: SSL.Error) -> str:
    queue = exc.args[0] if exc.args and isinstance(exc.args[0], list) else []
    texts = [entry[-1] for entry in queue if entry and entry[-1]]
    if _UNTRUSTED in texts:
        return _UNTRUSTED
    return f"TLS failed: {texts[0]}" if texts else "TLS failed: the connection was closed"
