"""Tasks and peers for reading, in the shapes that Dragonfly v1 had."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from klein import Klein
from twisted.web.server import Request

from dragonfly.supernode.api.common import Refusal, answer, route
from dragonfly.supernode.cdn import Cdn
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.tracker import PeerView, Tracker

__all__ = ["PAGE_MAX", "add_routes"]

PAGE_MAX = 1000
"""Peers on one page; more would hold the reactor for longer than a turn should take."""

_VARIABLE = re.compile(r"<(\w+)>")
"""A variable in a route, as Werkzeug writes it; v1 and OpenAPI write ``{task}``."""

_SHORT_NUMBER = re.compile("[0-9]{1,9}")
_STATUSES = {State.FETCHING: "RUNNING", State.READY: "SUCCESS", State.FAILED: "FAILED"}
_SORT_KEYS = {
    "": "created",
    "created": "created",
    "IP": "address",
    "hostName": "hostname",
    "port": "port",
    "version": "version",
}


def add_routes(app: Klein, *, cdn: Cdn, tracker: Tracker) -> None:
    """Add ``/api/v1/tasks/<id>`` and ``/api/v1/peers``, and the lists of routes."""

    @route(app, "/api/v1/tasks/<task>", "GET")
    def task_info(request: Request, task: str) -> bytes:
        content = cdn.get(_id(task, "task"))
        if content is None:
            raise Refusal(f"no task {task[:80]}", 404)
        return answer(request, _without_zeroes(_task(content)))

    @route(app, "/api/v1/peers", "GET")
    def peer_list(request: Request) -> bytes:
        number, size = _page(request, "pageNum"), _page(request, "pageSize")
        peers = sorted(tracker.peer_views(), key=_order(request), reverse=_descending(request))
        page = peers[number * size : (number + 1) * size]
        return answer(request, [_without_zeroes(_peer(peer)) for peer in page])

    @route(app, "/api/v1/peers/<peer>", "GET")
    def peer_info(request: Request, peer: str) -> bytes:
        view = tracker.peer_view(_id(peer, "peer"))
        if view is None:
            raise Refusal(f"no peer {peer[:80]}", 404)
        return answer(request, _without_zeroes(_peer(view)))

    @route(app, "/api/v1/bans", "GET")
    def ban_list(request: Request) -> bytes:
        return answer(request, tracker.ban_list())

    def listing(request: Request, category: str, prefix: str) -> bytes:
        api = [
            {"method": method, "path": _VARIABLE.sub(r"{\1}", rule.rule)}
            for rule in app.url_map.iter_rules()
            for method in sorted(rule.methods or ())
            if method not in ("HEAD", "OPTIONS") and rule.rule.startswith(prefix)
        ]
        return answer(request, {"category": category, "prefix": prefix, "api": api})

    @route(app, "/api/v1/", "GET")
    def list_v1(request: Request) -> bytes:
        return listing(request, "v1", "/api/v1")

    @route(app, "/", "GET")
    def list_all(request: Request) -> bytes:
        return listing(request, "legacy", "/")


def _id(text: str, what: str) -> bytes:
    try:
        name = bytes.fromhex(text)
    except ValueError:
        name = b""
    if len(name) != 32:
        raise Refusal(f"no {what} {text[:80]}", 404)
    return name


def _task(content: Content) -> dict[str, Any]:
    count = content.layout.piece_count
    return {
        "ID": content.id.hex(),
        "cdnStatus": _STATUSES[content.state],
        "fileLength": content.length,
        "httpFileLength": content.validator.length,
        "identifier": content.identifier,
        "md5": _md5(content),
        "pieceSize": content.piece_size,
        "pieceTotal": content.held if count is None else count,
        "rawURL": content.url,
        "realMd5": _md5(content) if content.state is State.READY else None,
        "taskURL": content.url,
    }


def _md5(content: Content) -> str | None:
    digest = content.digest
    return digest.value.hex() if digest is not None and digest.algorithm == "md5" else None


def _peer(view: PeerView) -> dict[str, Any]:
    return {
        "ID": view.key.hex(),
        "IP": view.address,
        "created": view.created,
        "hostName": view.hostname,
        "port": view.port,
        "version": view.version,
    }


def _without_zeroes(values: Mapping[str, Any]) -> dict[str, Any]:
    """v1 leaves zero values out, and its clients know."""
    return {name: value for name, value in values.items() if value}


# -- paging ------------------------------------------------------------------------


def _argument(request: Request, name: str) -> str:
    values = request.args.get(name.encode(), [b""])
    return bytes(values[0]).decode("utf-8", "replace")


def _page(request: Request, name: str) -> int:
    text = _argument(request, name)
    most = PAGE_MAX if name == "pageSize" else 10**6
    least = 1 if name == "pageSize" else 0
    if not _SHORT_NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise Refusal(f"{name}: {text[:40]!r} is not a number from {least} to {most}", 400)
    return int(text)


def _order(request: Request) -> Any:
    key = _argument(request, "sortKey")
    if key not in _SORT_KEYS:
        raise Refusal(
            f"sortKey: {key[:40]!r} is not one of {', '.join(filter(None, _SORT_KEYS))}", 400
        )
    name = _SORT_KEYS[key]
    return lambda view: (getattr(view, name), view.key)


def _descending(request: Request) -> bool:
    direction = _argument(request, "sortDirect").upper()
    if direction not in ("", "ASC", "DESC"):
        raise Refusal(f"sortDirect: {direction[:40]!r} is neither ASC nor DESC", 400)
    return direction == "DESC"
