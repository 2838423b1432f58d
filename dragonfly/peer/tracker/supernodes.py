"""The peer's side of the control API: register, announce, leave, over pinned TLS."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from dragonfly.config import Node
from dragonfly.control.codec import MESSAGE_LIMIT, from_json, register_answer, to_json
from dragonfly.control.messages import (
    AnnounceAnswer,
    AnnounceRequest,
    DirectAnswer,
    ErrorBody,
    LeaveRequest,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.control.signing import SIGNATURE_HEADER, sign_body
from dragonfly.errors import (
    BadRun,
    DragonflyError,
    OriginRefused,
    OriginUnreachable,
    TrackerBusy,
    TrackerError,
    TrackerLost,
    TrackerUnreachable,
    TrustError,
)
from dragonfly.net.http import ControlAnswer, ControlClient
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.task.digest import piece_digest
from dragonfly.task.manifest import Manifest, parse_run

__all__ = ["Supernode", "Supernodes", "pieces_of", "rendezvous"]

REGISTER_LIMIT_S = 60.0
"""A registration waits for the supernode's check at the origin, and, where thousands register
at once, for its turn: ten thousand take some 50 s of a core that is not busy otherwise. A host
that is gone is found out within the 5 s for connecting; this is for one that hangs."""

BUSY_PATIENCE_S = 300.0
"""A supernode that is busy and says when to come again is believed for so long."""

BUSY_LEAST_S = 0.5
"""... and never asked more often, whatever it says."""

ANNOUNCE_LIMIT_S = 5.0
"""An announce waits for nothing."""


def rendezvous(nodes: Iterable[Node], name: bytes) -> list[Node]:
    """``nodes`` in the order in which the holder of ``name`` is looked for.

    Weighted rendezvous hashing: everybody who knows the same nodes gets the same order, and
    a node that goes away moves only its own names.
    """

    def score(node: Node) -> float:
        raw = hashlib.sha256(str(node).encode() + b"\0" + name).digest()
        return -math.log((int.from_bytes(raw[:8], "big") + 1) / (2**64 + 1)) / node.weight

    return sorted(dict.fromkeys(nodes), key=score)


class Supernode:
    """One supernode, as seen by the holder of ``key``.

    :param clock: for waiting while it is busy.
    """

    def __init__(
        self,
        node: Node,
        key: SigningKey,
        client: ControlClient,
        clock: IReactorTime,
        *,
        pins: str = "",
    ) -> None:
        self.node = node
        self._key = key
        self._client = client
        self._clock = clock
        self._pins = pins

    async def register(self, request: RegisterRequest) -> RegisterAnswer | DirectAnswer:
        """Ask to take part; whom a busy supernode sends away for a while comes again.

        :raises OriginRefused: the origin does not give it to this caller.
        :raises OriginUnreachable: the supernode does not reach the origin.
        :raises TrackerUnreachable: nobody answers.
        :raises TrackerBusy: it is busy for longer than :data:`BUSY_PATIENCE_S`.
        :raises TrackerError: the supernode says no; ``TrustError``: it is not who it was.

        Cancelling gives the call up, or the waiting.
        """
        until = self._clock.seconds() + BUSY_PATIENCE_S
        while True:
            try:
                raw = await self._call("/swarm/v1/register", request, REGISTER_LIMIT_S)
            except TrackerBusy as busy:
                if self._clock.seconds() + busy.retry_after_s > until:
                    raise
                wait_s = busy.retry_after_s
            else:
                return self._vouched(register_answer(raw))
            await deferLater(self._clock, wait_s)

    def _vouched(self, answer: RegisterAnswer | DirectAnswer) -> RegisterAnswer | DirectAnswer:
        """What came inside must be what the supernode signed for."""
        if isinstance(answer, RegisterAnswer) and not answer.grant and not _holds_all(answer):
            raise TrackerError(f"supernode {self.node} sent bytes that it did not sign for")
        return answer

    async def announce(self, request: AnnounceRequest) -> AnnounceAnswer:
        """Say how it goes; the errors are those of :meth:`register`."""
        raw = await self._call("/swarm/v1/announce", request, ANNOUNCE_LIMIT_S)
        return from_json(AnnounceAnswer, raw)

    async def leave(self, request: LeaveRequest) -> None:
        """Say goodbye; the errors are those of :meth:`register`."""
        await self._call("/swarm/v1/leave", request, ANNOUNCE_LIMIT_S)

    async def _call(self, path: str, request: object, timeout_s: float) -> bytes:
        body = to_json(request)
        headers = ((SIGNATURE_HEADER, sign_body(self._key, path, body)),)
        url = f"https://{self.node}{path}"

        async def post() -> ControlAnswer:
            return await self._client.post_json(
                url, body, headers, timeout_s=timeout_s, limit=MESSAGE_LIMIT
            )

        try:
            try:
                answer = await post()
            except TrackerLost:  # one that was kept open from before a restart over there
                answer = await post()
        except TrustError as error:
            remedy = f" If that is right, remove {self.node} from {self._pins}."
            raise TrustError(f"{error}{remedy if self._pins else ''}") from None
        if answer.status != 200:
            raise _refusal(self.node, answer.status, answer.body)
        return answer.body


def _holds_all(answer: RegisterAnswer) -> bool:
    """Whether the content in an answer is whole, and what the answer's own runs say."""
    manifest = Manifest(answer.task, answer.fetch, answer.piece_size, answer.length)
    keys = KeyRing(answer.keys)
    try:
        for raw in answer.runs:
            manifest.add(raw, parse_run(raw, keys))
    except BadRun:
        return False
    if not manifest.complete or manifest.length != len(answer.content):
        return False
    return all(
        manifest.digest(piece) == piece_digest(part) for piece, part in enumerate(pieces_of(answer))
    )


def pieces_of(answer: RegisterAnswer) -> list[bytes]:
    """The content in an answer, cut into its pieces."""
    data, size = answer.content, answer.piece_size
    return [data[at : at + size] for at in range(0, len(data), size)]


def _refusal(node: Node, status: int, raw: bytes) -> DragonflyError:
    """The error that an answer other than 200 stands for."""
    try:
        body = from_json(ErrorBody, raw)
    except TrackerError:
        return TrackerError(f"supernode {node} answered with HTTP {status}", status)
    if body.origin_status:
        return OriginRefused(body.message, body.origin_status)
    if body.retry_after > 0:
        wait_s = max(BUSY_LEAST_S, body.retry_after)
        return TrackerBusy(f"supernode {node}: {body.message}", retry_after_s=wait_s)
    if body.retryable:
        return OriginUnreachable(body.message, 0)
    return TrackerError(f"supernode {node}: {body.message}", status)


class Supernodes:
    """All supernodes that anybody in this process has named.

    :param client: asks them over TLS with pinned keys.
    :param clock: for waiting while one is busy.
    :param pins: the file with these keys, for the error about one that has changed.
    """

    def __init__(
        self, key: SigningKey, client: ControlClient, clock: IReactorTime, *, pins: str = ""
    ) -> None:
        self._key = key
        self._client = client
        self._clock = clock
        self._pins = pins
        self._known: dict[Node, Supernode] = {}

    def get(self, node: Node) -> Supernode:
        """The client of ``node``."""
        if node not in self._known:
            self._known[node] = Supernode(
                node, self._key, self._client, self._clock, pins=self._pins
            )
        return self._known[node]

    async def register(
        self, nodes: Iterable[Node], name: bytes, request: RegisterRequest
    ) -> tuple[Supernode, RegisterAnswer | DirectAnswer]:
        """Register at the first of ``nodes`` that can be reached, best first for ``name``.

        :raises TrackerUnreachable: none can; the text names each and why.
        Other errors are the answer of one that can; see :meth:`Supernode.register`.
        """
        why: list[str] = []
        for node in rendezvous(nodes, name):
            supernode = self.get(node)
            try:
                return supernode, await supernode.register(request)
            except TrackerUnreachable as error:
                why.append(str(error))
        raise TrackerUnreachable("; ".join(why) or "no supernode is configured")
