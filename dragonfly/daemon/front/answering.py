"""Having a request answered, and making something of it when that fails."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.daemon.http.framing import text_headers
from dragonfly.daemon.http.marks import error_type
from dragonfly.daemon.http.messages import Answer, Responder
from dragonfly.errors import AddressRefused, ClientGone, DragonflyError, Fault

__all__ = ["answer_in_text", "have_answered", "status_of"]

_log = Logger()


def have_answered(answer: Answer, responder: Responder) -> Deferred[None]:
    """Let *answer* answer; whatever it does, *responder* is over in the end.

    The Deferred fires then and never fails. It must not be cancelled: who answers learns
    from ``on_gone`` that nobody listens any more.
    """
    return Deferred.fromCoroutine(_answered(answer, responder))


async def _answered(answer: Answer, responder: Responder) -> None:
    try:
        await answer(responder)
    except CancelledError:
        _settle(responder, 500, "the request was given up")
    except DragonflyError as exc:
        if responder.status and not responder.over:
            _log.warn("answer cut after {sent} bytes: {error}", sent=responder.sent, error=str(exc))
        _settle(responder, status_of(exc), str(exc))
    except Exception:  # noqa: BLE001 - a bug in one answer ends that answer only
        _log.failure("answering a request failed", failure=Failure())
        _settle(responder, 500, "internal error")
    else:
        if not responder.over:
            _log.error("a request was left without a complete answer")
        _settle(responder, 500, "internal error")


def status_of(error: DragonflyError) -> int:
    """The status of an answer that says that."""
    if isinstance(error, ClientGone):
        return 400
    if isinstance(error, AddressRefused):
        return 403
    return 502 if error.fault is Fault.ORIGIN else 500


def _settle(responder: Responder, status: int, text: str) -> None:
    if responder.over:
        return
    if responder.status:
        responder.abort()
    else:
        answer_in_text(responder, status, text)


def answer_in_text(responder: Responder, status: int, text: str) -> None:
    """Give a whole answer of one line of text."""
    body = text.encode("utf-8", "replace") + b"\n"
    responder.start(status, (*text_headers(body), *error_type(status)))
    responder.write(body)
    responder.finish()
