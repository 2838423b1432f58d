"""The calls that peers make: parse, check the signature, ask the tracker, encode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from klein import Klein
from twisted.web.server import Request

from dragonfly.control.codec import from_json, to_json
from dragonfly.control.messages import (
    AnnounceRequest,
    LeaveRequest,
    RegisterAnswer,
    RegisterRequest,
    quiet_s,
)
from dragonfly.control.signing import SIGNATURE_HEADER, check_body
from dragonfly.net.addresses import plain_address
from dragonfly.supernode.api.common import Refusal, answer, hang_up, header, route, squeezed
from dragonfly.supernode.api.site import BODY_MAX
from dragonfly.supernode.tracker import Caller, Tracker

__all__ = ["CONNECTIONS_KEPT", "KEEP_S", "add_routes"]

KEEP_S = 25.0
"""A peer that calls no sooner than this, all its tasks together, calls over a new connection:
it keeps one for 30 s. With 10,000 peers there would be 6,000 idle ones otherwise, 150 MiB."""

CONNECTIONS_KEPT = 1024
"""Who got all of a content inside its answer calls again when it wants the next one, perhaps at
once, and a new connection costs more than such an answer. While more than these are open, 25 MiB,
there is a crowd, and it is closed."""

_Message = TypeVar("_Message", RegisterRequest, AnnounceRequest, LeaveRequest)


def add_routes(app: Klein, tracker: Tracker, connections: Callable[[], int]) -> None:
    """Add ``/swarm/v1/register``, ``announce`` and ``leave``.

    :param connections: how many are open.
    """

    @route(app, "/swarm/v1/register", "POST")
    async def register(request: Request) -> bytes:
        message = _signed(RegisterRequest, request)
        said = await tracker.register(message, _caller(request))
        if isinstance(said, RegisterAnswer):
            _registered(request, message.key, said)
        return squeezed(request, to_json(said))

    @route(app, "/swarm/v1/announce", "POST")
    def announce(request: Request) -> bytes:
        message = _signed(AnnounceRequest, request)
        said = tracker.announce(message, _caller(request))
        _part(request, message.key, said.announce_after)
        return squeezed(request, to_json(said))

    @route(app, "/swarm/v1/leave", "POST")
    def leave(request: Request) -> bytes:
        tracker.leave(_signed(LeaveRequest, request))
        return answer(request, {})

    def _registered(request: Request, key: bytes, said: RegisterAnswer) -> None:
        """Keep the connection if its peer is likely to use it again."""
        if not said.content:
            _part(request, key, said.announce_after)
        elif connections() > CONNECTIONS_KEPT:
            hang_up(request)

    def _part(request: Request, key: bytes, wait_s: float) -> None:
        """Let go of a connection that its peer would not use again."""
        if quiet_s(wait_s) / max(1, tracker.tasks_of(key)) > KEEP_S:
            hang_up(request)


def _signed(kind: type[_Message], request: Request) -> _Message:
    """The message, from the holder of the key that it names."""
    content: Any = request.content  # there, whatever its type says: the body was read whole
    body: bytes = content.read()
    message = from_json(kind, body, BODY_MAX)
    shown = header(request, SIGNATURE_HEADER)
    if shown is None:
        raise Refusal(f"{SIGNATURE_HEADER} is needed", 401)
    if not check_body(message.key, request.path.decode("latin-1"), body, shown):
        raise Refusal(f"{SIGNATURE_HEADER} was not made by the key that the message names", 403)
    return message


def _caller(request: Request) -> Caller:
    return Caller(
        address=plain_address(str(getattr(request.getClientAddress(), "host", ""))),
        reached=plain_address(str(getattr(request.getHost(), "host", ""))),
        secure=bool(request.isSecure()),
    )
