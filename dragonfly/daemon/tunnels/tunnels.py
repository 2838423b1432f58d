"""Answers CONNECT: with a tunnel, or by being the server that the client wants to speak to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

from twisted.internet import defer
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from dragonfly.daemon.front.answering import status_of
from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.front.opening import HANDSHAKE, Opening
from dragonfly.daemon.front.refusals import Refusal
from dragonfly.daemon.front.tunnel import Tunnel
from dragonfly.daemon.http.hops import came_through
from dragonfly.daemon.http.messages import RequestHead
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.connecttarget import connect_target
from dragonfly.daemon.routing.misrouted import Misrouted
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.tunnels.interception import Interception
from dragonfly.errors import AddressRefused, DragonflyError, OriginTimedOut
from dragonfly.net.addresses import is_loopback
from dragonfly.net.deadline import deadline
from dragonfly.net.tasks import TaskSet

__all__ = ["Dialler", "Tunnels"]

_TUNNEL = "tunnel"
_log = Logger()


class Dialler(Protocol):
    """Connects to anything."""

    async def connect(self, registry: Registry, factory: IProtocolFactory) -> None:
        """Connect over TCP, and no more.

        :raises OriginError: that is not possible, or not allowed.
        """


class Tunnels:
    """The opener of a front.

    :param registries: know how far each is trusted.
    :param upstream: connects.
    :param interception: what is opened; ``None``: nothing.
    :param via: the name that this process goes by in ``Via``.
    :param log: is told of each tunnel when it is over, and of each CONNECT that was refused.
    :param ports: of the front itself: it is not connected to itself.
    """

    def __init__(
        self,
        registries: Registries,
        *,
        upstream: Dialler,
        interception: Interception | None,
        via: bytes,
        log: Callable[[Note], object],
        ports: Callable[[], Collection[int]],
        clock: IReactorTime,
        limits: FrontLimits | None = None,
    ) -> None:
        self._registries = registries
        self._upstream = upstream
        self._interception = interception
        self._via = via
        self._log = log
        self._ports = ports
        self._clock = clock
        self._limits = limits or FrontLimits()
        self._tasks = TaskSet(_log)
        self._open: set[Tunnel] = set()

    @property
    def count(self) -> int:
        """How many tunnels there are."""
        return len(self._open)

    # -- Opener -------------------------------------------------------------------

    def open(self, opening: Opening) -> None:
        """Answer one CONNECT."""
        task = self._tasks.spawn(self._answer(opening), "CONNECT")
        opening.on_gone(task.cancel)

    def unused(self, client: str, tunnel: str, why: str) -> None:
        """A client did not want to speak with us: it has to believe our authority first.

        Some tell so in the handshake, some look at the certificate after it.
        """
        note = Note(method="CONNECT", target=tunnel, client=client, route=_TUNNEL, status=200)
        note.registry, note.ending = tunnel, "gone"
        ended = f"the client's TLS handshake failed: {why}" if why else "no request came"
        note.because(f"{ended}; does the client trust our authority?")
        self._log(note)

    # -- one CONNECT ----------------------------------------------------------------

    async def _answer(self, opening: Opening) -> None:
        began, note = self._clock.seconds(), _note(opening.head)
        try:
            await self._connect(opening, note, began)
        except Misrouted as refusal:
            self._refuse(opening, note, began, Refusal(refusal.status, str(refusal)))
        except DragonflyError as error:
            self._refuse(opening, note, began, Refusal(_status(error), str(error)))
        except CancelledError:
            note.ending = "gone"
            self._finish(note, began)
            raise
        except Exception:
            self._refuse(opening, note, began, Refusal(500, "internal error"))
            raise

    async def _connect(self, opening: Opening, note: Note, began: float) -> None:
        registry = self._wanted(opening.head)
        note.registry = registry.place
        interception = self._interception
        if interception is None or not interception.covers(registry):
            interception = None
        tunnel = None
        if interception is None or not interception.known(registry):
            tunnel = await self._dial(registry)
        try:
            opening.establish()
            if interception and await self._is_for_us(opening, registry, interception):
                options = await interception.options(registry.host)
                if tunnel is not None:
                    tunnel.abort()
                opening.secure(options, registry.place)
                return
            tunnel = tunnel or await self._dial(registry)
        except BaseException:
            if tunnel is not None:
                tunnel.abort()
            raise
        self._join(opening, tunnel, note, began)

    def _wanted(self, head: RequestHead) -> Registry:
        if came_through(head.headers, self._via):
            raise Misrouted(508, "a loop: this request came through here before")
        wanted = connect_target(head.target)
        registry = self._registries.at("https", wanted.host, wanted.port, local=head.local)
        self._registries.check_port(registry)
        return registry

    async def _dial(self, registry: Registry) -> Tunnel:
        tunnel = Tunnel(clock=self._clock, limits=self._limits)
        factory = Factory.forProtocol(lambda: tunnel.origin)
        factory.noisy = False
        await self._upstream.connect(registry, factory)
        if self._is_us(tunnel.origin.wire):
            tunnel.abort()
            raise Misrouted(508, f"a loop: {registry.place} is this dfdaemon itself")
        return tunnel

    def _is_us(self, wire: Any) -> bool:
        """Whoever connects to an own address does so from that same address."""
        there, here = wire.getPeer(), wire.getHost()
        if getattr(there, "port", None) not in self._ports():
            return False
        return there.host == here.host or is_loopback(there.host)

    async def _is_for_us(
        self, opening: Opening, registry: Registry, interception: Interception
    ) -> bool:
        """Whether client and registry both speak TLS."""
        if interception.known(registry) is False:
            return False
        waiting = deadline(opening.first_byte(), self._limits.first_byte_s, self._clock)
        try:
            if await waiting != HANDSHAKE:
                return False
        except defer.TimeoutError:  # it waits for the server to speak
            return False
        return await interception.speaks_tls(registry)

    def _join(self, opening: Opening, tunnel: Tunnel, note: Note, began: float) -> None:
        def over() -> None:
            self._open.discard(tunnel)
            _fill(note, tunnel)
            self._finish(note, began)

        self._open.add(tunnel)
        tunnel.on_over(over)
        opening.hand_over(tunnel.client)

    # -- the end ----------------------------------------------------------------------

    def _refuse(self, opening: Opening, note: Note, began: float, refusal: Refusal) -> None:
        note.status = 200 if opening.established else refusal.status
        note.ending = "aborted" if opening.established else "done"
        note.because(refusal.text)
        opening.refuse(refusal)
        self._finish(note, began)

    def _finish(self, note: Note, began: float) -> None:
        note.seconds = self._clock.seconds() - began
        self._log(note)


def _note(head: RequestHead) -> Note:
    target = head.target.decode("latin-1").rpartition("@")[2]  # there may be a password before it
    return Note(method="CONNECT", target=target, client=head.client, route=_TUNNEL)


def _fill(note: Note, tunnel: Tunnel) -> None:
    note.status = 200
    note.sent = note.sources["registry"] = tunnel.origin.count
    note.uploaded = tunnel.client.count
    if tunnel.why:
        note.ending = "aborted"
        note.because(tunnel.why)
    elif tunnel.cut_by is not None:
        note.ending = "gone" if tunnel.cut_by is tunnel.client else "aborted"


def _status(error: DragonflyError) -> int:
    if isinstance(error, AddressRefused):
        return 403
    return 504 if isinstance(error, OriginTimedOut) else status_of(error)
