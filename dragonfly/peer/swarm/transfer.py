"""One task of this peer, from the register answer until it is no longer served."""

from __future__ import annotations

import secrets
from collections.abc import Hashable

import attrs
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.control.messages import Complaint, LeaveRequest, RegisterAnswer, RegisterRequest
from dragonfly.errors import ErrorCode
from dragonfly.net.tasks import Task
from dragonfly.peer.connections.links import Link, Links
from dragonfly.peer.connections.membership import Membership
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.peer.content.content import Content
from dragonfly.peer.equipment import Equipment
from dragonfly.peer.exchange.exchange import Exchange
from dragonfly.peer.origin.client import Client
from dragonfly.peer.origin.fallback import Fallback
from dragonfly.peer.origin.hunger import Hunger
from dragonfly.peer.origin.originsources import OriginSources
from dragonfly.peer.origin.originstream import OriginSource, OriginStream
from dragonfly.peer.swarm.demand import Demand
from dragonfly.peer.swarm.pace import Pace
from dragonfly.peer.swarm.reports import Reports, Tally
from dragonfly.peer.tracker.announcer import Announcer
from dragonfly.peer.tracker.supernodes import Supernode
from dragonfly.sched.outlook import Outlook
from dragonfly.sched.picker import OUT, Picker
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.manifest import Manifest
from dragonfly.wire.constants import NONCE_BYTES
from dragonfly.wire.session import PeerSession, Role

__all__ = ["TICK_S", "Transfer"]

TICK_S = 0.5
"""How often an unfinished download is looked at."""


class Transfer:
    """A task: content, neighbours, announces, fallback, wired together.

    It downloads what its clients want: everything if one of them does, else what is before
    their readers, and nothing when nobody wants more. It serves what it has until :meth:`stop`.

    :ivar in_parts: somebody wanted parts of it only, and may be back for others.
    """

    _log = Logger()

    def __init__(
        self,
        equipment: Equipment,
        file: TaskFile,
        supernode: Supernode,
        answer: RegisterAnswer,
        request: RegisterRequest,
        *,
        out: int = OUT,
    ) -> None:
        clock, key = equipment.reactor, equipment.key
        self.clients: list[Client] = []
        self.tally = Tally()
        self.last_used = clock.seconds()
        self.stopped = False
        self.outdated = False
        self.in_parts = False
        self.supernode = supernode
        self._equipment = equipment
        self._clock = clock
        self._answer = answer
        self._pace = Pace(equipment.total, clock)
        self._hunger = Hunger(clock.seconds())
        self._outlook = Outlook(clock.seconds())
        self.membership = Membership(answer, clock.seconds())
        manifest = Manifest(answer.task, answer.fetch, answer.piece_size, answer.length)
        self.content = Content(file, manifest, self.membership.keys, equipment.disk, clock)
        self._picker = Picker(rng=equipment.rng, out=out)
        self._exchange = self._make_exchange()
        self.links = Links(
            key.public, self._exchange, dial=equipment.dial, make_protocol=self._make_protocol
        )
        self._fallback = self._make_fallback()
        self.reports = self._make_reports(request)
        self._announcer = Announcer(
            supernode, self.reports, clock, equipment.rng, first_s=answer.announce_after
        )
        self._demand = Demand(answer.piece_size)
        self._sources = OriginSources(self.clients)
        self._announcing: Task | None = None
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = clock
        self._wants_changed()

    def _make_exchange(self) -> Exchange:
        equipment = self._equipment
        return Exchange(
            self.content,
            self._picker,
            equipment.uploader,
            self,
            clock=self._clock,
            disk=equipment.disk,
            rng=equipment.rng,
            flows=self._pace.flows,
            readers=equipment.readers,
        )

    def _make_fallback(self) -> Fallback:
        return Fallback(
            self.content,
            self._hunger,
            self,
            clock=self._clock,
            rng=self._equipment.rng,
            tasks=self._equipment.tasks,
            stream=self._origin_stream,
            validator=self._answer.validator,
        )

    def _make_reports(self, request: RegisterRequest) -> Reports:
        return Reports(
            self.content,
            self.links,
            self.membership,
            self._fallback,
            self._hunger,
            self.tally,
            me=self._equipment.key.public,
            clock=self._clock,
            supernode=self.supernode,
            request=request,
            on_outdated=self._outdated,
        )

    @property
    def name(self) -> str:
        """What logs call this task."""
        return self.content.task.hex()[:12]

    @property
    def member(self) -> bool:
        """Whether the supernode knows us in this task; not if all of it came in its answer."""
        return self._announcing is not None

    # -- lifecycle -----------------------------------------------------------------------

    def start(self) -> None:
        """Begin: what is on disk, what the answer tells, neighbours, announces."""
        self.membership.port = self._equipment.announced().port
        self.content.observer = self._exchange
        self.content.watchers.append(self)
        self.content.begin()
        if self._answer.content:
            self.content.bring()
            self._equipment.memory.keep(self.content, self._answer.content)
            self._answer = attrs.evolve(self._answer, content=b"")  # it is the memory's to forget
        self.reports.take(self._answer)
        self.links.connect(self._answer.neighbours)
        if self._answer.grant:
            spawn = self._equipment.tasks.spawn
            self._announcing = spawn(self._announcer.run(), f"announces of task {self.name}")
        if not self.content.finished:
            self._ticking.start(TICK_S, now=False).addErrback(self._broke)

    def join(self, client: Client) -> None:
        """One more client wants this content."""
        self.clients.append(client)
        self._equipment.memory.used(self.content)
        self.content.watchers.append(client)
        if client.whole:
            self.content.reserve()
        self.in_parts = self.in_parts or not client.whole
        self._clients_changed()

    def leave(self, client: Client) -> None:
        """A client has what it wanted, or is gone."""
        if client in self.clients:
            self.clients.remove(client)
            self.content.watchers.remove(client)
            self._clients_changed()
        self.last_used = self._clock.seconds()

    def served(self, length: int) -> None:
        """So many bytes went to a neighbour."""
        self.tally.served += length
        self.last_used = self._clock.seconds()

    def stop(self) -> None:
        """End all of it here; what is on disk stays. The supernode learns it by :meth:`goodbye`."""
        if self.stopped:
            return
        self.stopped = True
        self._equipment.memory.forget(self.content)
        self._fallback.stop()
        if self._announcing is not None:
            self._announcing.cancel()
        if self._ticking.running:
            self._ticking.stop()
        self._exchange.stop()
        self.links.close(ErrorCode.SHUTTING_DOWN, "this peer leaves the task")
        self.content.intake.close()

    async def goodbye(self) -> None:
        """Tell the supernode that this peer has left the task.

        :raises DragonflyError: it does not answer; then it finds out by itself.
        """
        if self.member and self._announcer.lost_since is None:
            message = LeaveRequest(key=self._equipment.key.public, task=self.content.task)
            await self.supernode.leave(message)

    # -- for downloads -----------------------------------------------------------------------

    def want_in_order(
        self, reader: Hashable, position: int | None, ahead: int, end: int | None
    ) -> None:
        """``reader`` is at byte ``position``, has ``ahead`` bytes before it waits, and reads to
        ``end``. Those that will wait first are looked after."""
        if position is None:
            self._demand.leave(reader)
        else:
            self._demand.read(reader, position, ahead, end)
        self.content.in_order = self._demand.in_order
        self._picker.want_in_order(self._demand.places())
        self._wants_changed()

    def due_s(self, begin: int, end: int) -> float | None:
        """Seconds until the bytes can be had from here or from a neighbour, by what neighbours
        have shown so far; see :class:`~dragonfly.sched.outlook.Outlook`."""
        size, content = self.content.file.piece_size, self.content
        held = content.have.mask | content.extra.mask
        for link in self.links:
            held |= link.mask
        wanted = (1 << -(-end // size)) - (1 << begin // size)
        return self._outlook.due_s(wanted, held, self._clock.seconds())

    def _wants_changed(self) -> None:
        """Have what is wanted now asked for, and nothing else."""
        wanted = self._demand.pieces
        if wanted != self.content.wanted:
            self.content.wanted = wanted
            self._exchange.look_for(wanted)

    # -- Watcher: a transfer counts its own bytes -------------------------------------------

    def content_layout(self) -> None:
        """Nothing to do."""

    def content_ranges(self, ranges: list[tuple[int, int]], kind: str) -> None:
        """Count."""
        length = sum(end - begin for begin, end in ranges)
        self.tally.add(kind, length)
        if kind not in {"cdn", "peers"}:
            self._hunger.fed(length, self._clock.seconds())

    def content_finished(self) -> None:
        """All is here: say so, and watch no more."""
        if self._ticking.running:
            self._ticking.stop()
        self._announcer.kick()

    def content_failed(self, error: Exception) -> None:
        """It will not be finished; the registry sees to the rest."""
        if self._ticking.running:
            self._ticking.stop()
        self._log.info("task {task} failed: {error}", task=self.name, error=str(error))

    # -- Situation of the fallback, Supervisor of the exchange -------------------------------

    def useful(self) -> bool:
        """Whether some neighbour can feed us."""
        return self._exchange.useful()

    def limited(self) -> bool:
        """Whether the user's own limits hold it back."""
        return self._exchange.limited

    def supernode_lost(self) -> bool:
        """Whether nobody governs."""
        return self._announcer.lost_since is not None

    def ask(self) -> None:
        """Announce now."""
        self._announcer.kick()

    def impatient(self, expected_s: float | None, now: float) -> bool:
        """Whether a client's own limits will not be met."""
        rate = self._hunger.rate(now)
        return any(client.impatient(expected_s, rate, now) for client in self.clients)

    def reading_origin(self, how: str) -> None:
        """Tell the clients."""
        self._log.info("task {task}: reading the origin {how}", task=self.name, how=how)
        for client in list(self.clients):
            client.fell_back(how)

    def fed(self, length: int, now: float) -> None:
        """Useful bytes came."""
        self._hunger.fed(length, now)

    def shown(self, link: Link, pieces: int, now: float) -> None:
        """Some piece is to be had by now, or a neighbour came that has it."""
        if link.mask:
            self._outlook.shown(pieces, now)
        else:
            self._outlook.met(pieces)

    def neighbours_changed(self) -> None:
        """Nobody is left: the supernode may know others, or be gone itself."""
        if not self.stopped and self.content.lacking and not self.useful():
            self._announcer.kick()

    def complain(self, link: Link, piece: int, why: str) -> None:
        """Never again with ``link``, and the supernode hears of it."""
        self._log.warn(
            "task {task}: {link} sent {why} (piece {piece})",
            task=self.name,
            link=link.name,
            why=why,
            piece=piece,
        )
        self.reports.complaints.append(Complaint(key=link.key, piece=piece, why=why))
        self.links.drop(link.key, ErrorCode.WRONG_BYTES, why, bar=True)
        self._announcer.kick()

    # -- inside ------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._exchange.tick()
        self._fallback.tick()

    def _broke(self, failure: Failure) -> None:
        self._log.failure("watching task {task}", failure, task=self.name)

    def _outdated(self) -> None:
        self.outdated = True

    def _clients_changed(self) -> None:
        self._demand.want_whole(any(client.whole for client in self.clients))
        self._wants_changed()
        self._pace.limit(client.local_limit for client in self.clients)

    def another_source(self, refused: OriginSource) -> bool:
        """Whether a client is left whose credentials the origin has not refused yet."""
        return self._sources.refuse(refused)

    def _origin_stream(self) -> OriginStream | None:
        source = self._sources.choose()
        if source is None:
            return None
        disk, flows = self._equipment.disk, self._pace.flows
        return OriginStream(self.content, source, disk, self._clock, flows=flows)

    def _make_protocol(self, links: Links) -> PeerProtocol:
        def session(now: float) -> PeerSession:
            membership = self.membership
            return PeerSession(
                role=Role.DIALLER,
                key=self._equipment.key,
                nonce=secrets.token_bytes(NONCE_BYTES),
                gate=membership,
                now=now,
                offer=membership.offer(membership.task),
            )

        return PeerProtocol(session, self._clock, links)
