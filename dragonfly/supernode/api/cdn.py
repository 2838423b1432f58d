"""The CDN over plain HTTP: for callers without the piece protocol, and as a last resort.

A grant opens it, together with a proof that the caller holds the key which the grant names.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from dragonfly.errors import BadGrant, UnknownTask
from dragonfly.net.disk import DiskPool
from dragonfly.net.ranges import ByteRange, Unsatisfiable, parse_range
from dragonfly.signatures import KeyRing
from dragonfly.supernode.api.common import Refusal, header, plain, route
from dragonfly.supernode.api.stream import ContentStream
from dragonfly.supernode.cdn import Cdn
from dragonfly.supernode.content import Content, State
from dragonfly.task.grant import check_cdn_proof

__all__ = ["GRANT_HEADER", "PROOF_HEADER", "add_routes"]

GRANT_HEADER = "X-Dragonfly-Grant"
PROOF_HEADER = "X-Dragonfly-Proof"


def add_routes(
    app: Klein,
    *,
    cdn: Cdn,
    ring: KeyRing,
    disk: DiskPool,
    clock: IReactorTime,
    banned: Callable[[bytes], str | None],
) -> None:
    """Add ``/cdn/<task>``.

    :param banned: says why a key is banned, ``None`` if it is not.
    """

    @route(app, "/cdn/<task>", "GET", "HEAD")
    async def content(request: Request, task: str) -> bytes | None:
        name = _task_id(task)
        key = _holder(request, name, ring, clock.seconds())
        reason = banned(key)
        if reason is not None:
            raise Refusal(f"this peer is banned: {reason}", 403)
        found = cdn.get(name) or await cdn.recall(name)
        if found is None:
            raise UnknownTask(f"no task {task}")
        return await _serve(request, found, disk, clock)


def _task_id(text: str) -> bytes:
    try:
        task = bytes.fromhex(text)
    except ValueError:
        task = b""
    if len(task) != 32 or len(text) != 64:
        raise UnknownTask(f"{text[:80]!r} is no task id")
    return task


def _holder(request: Request, task: bytes, ring: KeyRing, now: float) -> bytes:
    """The key of the caller, proved; 401 where nothing is shown, 403 where it is wrong."""
    shown, proof = header(request, GRANT_HEADER), header(request, PROOF_HEADER)
    if shown is None or proof is None:
        request.setHeader("WWW-Authenticate", "Dragonfly-Grant")
        raise Refusal(f"{GRANT_HEADER} and {PROOF_HEADER} are needed", 401)
    at, _, signature = proof.partition(":")
    try:
        grant = base64.b64decode(shown, validate=True)
        raw = bytes.fromhex(signature)
        second = int(at)
    except (ValueError, binascii.Error):
        raise BadGrant(f"{GRANT_HEADER} or {PROOF_HEADER} is malformed") from None
    if not 0 <= second < 2**63:
        raise BadGrant(f"{PROOF_HEADER} names no second")
    return check_cdn_proof(raw, grant, ring, task=task, at=second, now=now).key


async def _serve(
    request: Request, content: Content, disk: DiskPool, clock: IReactorTime
) -> bytes | None:
    if content.state is State.FAILED and content.error is not None:
        raise content.error
    etag = f'"{content.id.hex()[:16]}-{content.fetch}"'
    request.setHeader("ETag", etag)
    request.setHeader("Accept-Ranges", "bytes")
    request.setHeader("Content-Type", content.content_type or "application/octet-stream")
    try:
        wanted = _wanted(request, content, etag)
    except Unsatisfiable:
        request.setHeader("Content-Range", f"bytes */{content.length}")
        return plain(request, b"", "application/octet-stream", 416)
    _set_length(request, content, wanted)
    if request.method == b"HEAD":
        return b""
    begin, end = (wanted.begin, wanted.end) if wanted is not None else (0, content.length)
    await ContentStream(content, request, disk, clock, begin=begin, end=end).start()
    return None


def _wanted(request: Request, content: Content, etag: str) -> ByteRange | None:
    """The range to send, if the caller's copy is of this very fetch; HEAD has no ranges."""
    condition = header(request, "If-Range")
    if request.method == b"HEAD" or (condition is not None and condition != etag):
        return None
    return parse_range(header(request, "Range"), content.length)


def _set_length(request: Request, content: Content, wanted: ByteRange | None) -> None:
    if wanted is not None:
        request.setResponseCode(206)
        last = wanted.end - 1
        request.setHeader("Content-Range", f"bytes {wanted.begin}-{last}/{content.length}")
        request.setHeader("Content-Length", str(wanted.end - wanted.begin))
    elif content.length is not None:
        request.setHeader("Content-Length", str(content.length))
