"""What all routes share: JSON out, errors to statuses, one table of routes."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from typing import Any

from klein import Klein
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from dragonfly.control.codec import to_json
from dragonfly.control.messages import ErrorBody
from dragonfly.errors import (
    AddressRefused,
    BadControlMessage,
    BadGrant,
    ConfigError,
    DiskFull,
    DragonflyError,
    OriginError,
    OriginRefused,
    StoreError,
    TrackerBusy,
    TrackerError,
    UnknownTask,
)

__all__ = [
    "JSON_TYPE",
    "Refusal",
    "answer",
    "error_body",
    "hang_up",
    "header",
    "map_errors",
    "route",
    "squeeze",
    "squeezed",
]

JSON_TYPE = "application/json"

SQUEEZE_BYTES, SQUEEZE_MOST = 512, 8192
"""Of an answer that is so long gzip leaves half: keys in hexadecimal, addresses that are alike.
Shorter ones are not worth its head, and longer ones hold content, at 30 ms of CPU for each MB."""

_log = Logger()

_Handler = Callable[..., Any]


class Refusal(TrackerError):
    """The call itself is refused: ``status`` is the HTTP status."""


def route(app: Klein, rule: str, *methods: str) -> Callable[[_Handler], _Handler]:
    """Register a handler under ``rule``, and let metrics call its requests by that rule."""

    def register(handler: _Handler) -> _Handler:
        def labelled(request: Request, **values: Any) -> Any:
            request.handler_label = rule  # type: ignore[attr-defined]
            return handler(request, **values)

        labelled.__name__ = handler.__name__
        app.route(rule, methods=list(methods), endpoint=handler.__name__)(labelled)
        return handler

    return register


def answer(request: Request, value: Any, status: int = 200) -> bytes:
    """A JSON reply, newline terminated as v1's are.

    :param value: bytes are taken as JSON already.
    """
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return plain(request, data.rstrip(b"\n") + b"\n", JSON_TYPE, status)


def squeezed(request: Request, data: bytes) -> bytes:
    """A JSON reply to one of many callers: in gzip, if it is long and the caller takes that."""
    short = squeeze(data) if _takes_gzip(request) else None
    if short is None:
        return answer(request, data)
    request.setHeader("Content-Encoding", "gzip")
    return plain(request, short, JSON_TYPE)


def squeeze(data: bytes) -> bytes | None:
    """An answer in gzip; ``None`` for one whose length is none for that."""
    if not SQUEEZE_BYTES <= len(data) <= SQUEEZE_MOST:
        return None
    gzip = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    return gzip.compress(data) + gzip.flush()


def _takes_gzip(request: Request) -> bool:
    """Whether ``Accept-Encoding`` names it without a weight, as peers do."""
    said = header(request, "Accept-Encoding") or ""
    return "gzip" in {each.strip().lower() for each in said.split(",")}


def plain(request: Request, data: bytes, content_type: str, status: int = 200) -> bytes:
    """A reply of known length."""
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(data)))
    return data


def hang_up(request: Request) -> None:
    """Close the connection behind the answer: it would be idle, and costs some 25 KiB."""
    request.setHeader("Connection", "close")


def header(request: Request, name: str) -> str | None:
    """One request header as text, ``None`` if it is absent."""
    value = request.getHeader(name)
    return None if value is None else str(value)


# -- errors ------------------------------------------------------------------------

_STATUSES: tuple[tuple[type[DragonflyError], int], ...] = (
    (BadControlMessage, 400),
    (ConfigError, 400),
    (BadGrant, 403),
    (AddressRefused, 403),
    (UnknownTask, 404),
    (DiskFull, 507),
    (StoreError, 500),
    (OriginError, 502),
)


def error_body(error: DragonflyError) -> ErrorBody:
    """What a caller is told of ``error``."""
    return ErrorBody(
        code=_status(error),
        message=str(error),
        origin_status=error.status if isinstance(error, OriginError) else 0,
        retryable=error.retryable,
        retry_after=error.retry_after_s if isinstance(error, TrackerBusy) else 0.0,
    )


def _status(error: DragonflyError) -> int:
    if isinstance(error, OriginRefused) and error.status in (401, 403, 404, 410):
        return 403 if error.status in (401, 403) else 404
    if isinstance(error, Refusal) or (isinstance(error, TrackerError) and error.status):
        return error.status
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def map_errors(app: Klein) -> None:
    """Turn whatever a handler raises into a JSON error; bugs are logged, not shown."""

    @app.handle_errors(Exception)
    def refuse(request: IRequest, failure: Failure) -> bytes:
        assert isinstance(request, Request)  # noqa: S101 - Klein's type is wider
        error = failure.value
        if isinstance(error, DragonflyError):
            return _refuse(request, error_body(error))
        if isinstance(error, HTTPException):
            return _misrouted(request, error)
        if isinstance(error, CancelledError):
            return _refuse(request, ErrorBody(code=503, message="the supernode is stopping"))
        _log.failure("answering {path}", failure, path=request.path)
        return _refuse(request, ErrorBody(code=500, message="internal error"))


def _misrouted(request: Request, error: HTTPException) -> bytes:
    """No such route, or not with this method; or a redirect to the right spelling."""
    if isinstance(error, RequestRedirect):
        request.setHeader("Location", error.new_url)
    for name, value in error.get_headers({}):
        if name == "Allow":
            request.setHeader(name, value)
    return _refuse(request, ErrorBody(code=error.code or 500, message=error.name.lower()))


def _refuse(request: Request, body: ErrorBody) -> bytes:
    if body.retry_after:
        request.setHeader("Retry-After", str(math.ceil(body.retry_after)))
        hang_up(request)
    return answer(request, to_json(body), body.code)
