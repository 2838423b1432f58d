"""One connection of the piece protocol, without the connection.

Bytes and the time go in; events and bytes come out. The session never reads a clock, never
waits, and never keeps a piece: slices pass through it as views of the bytes it was fed.
``doc/protocol.rst`` is the specification, :mod:`dragonfly.wire.table` the state table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dragonfly.errors import (
    ErrorCode,
    LocalProtocolError,
    PeerTimedOut,
    RemoteProtocolError,
    UnexpectedMessage,
)
from dragonfly.signatures import SigningKey
from dragonfly.wire.codec import decode
from dragonfly.wire.constants import (
    MAX_IN_FLIGHT,
    SLICE_BYTES,
    Kind,
)
from dragonfly.wire.events import Closed, Event, Opened
from dragonfly.wire.framing import Frame, FrameReader, Item
from dragonfly.wire.handshake import Gate, Handshake
from dragonfly.wire.inbound import Inbound
from dragonfly.wire.liveness import Pulse
from dragonfly.wire.messages import (
    Auth,
    BitfieldFrame,
    Bye,
    Cancel,
    Data,
    Digests,
    GetDigests,
    Hello,
    Message,
    Offer,
    Ping,
    Reject,
    Request,
    RequestAny,
)
from dragonfly.wire.outbound import Outbound
from dragonfly.wire.requests import Asked, Owed
from dragonfly.wire.table import TABLE, Role, State

__all__ = ["Gate", "Offer", "PeerSession", "Role", "State"]


class PeerSession:
    """One side of one connection.

    After any call that may have queued something, write what :meth:`take_output` gives; after
    any call at all, be back with :meth:`tick` at :meth:`next_deadline`. Methods that send
    raise :class:`~dragonfly.errors.LocalProtocolError` unless the session is open.

    :param role: who opened the connection.
    :param key: our identity; its private half signs the proof.
    :param nonce: 32 fresh random bytes.
    :param gate: lets the other side in.
    :param now: seconds of the clock that all later calls use, too.
    :param offer: for the dialler: what it wants to talk about.
    """

    def __init__(  # noqa: PLR0917
        self,
        role: Role,
        key: SigningKey,
        nonce: bytes,
        gate: Gate,
        now: float,
        offer: Offer | None = None,
    ) -> None:
        self.role = role
        self.state = State.HELLO_SENT if role is Role.DIALLER else State.LISTENING
        self._handshake = Handshake(role, key, nonce, gate, offer)
        self._pulse = Pulse(now)
        self._reader = FrameReader(self._check_allowed)
        self._outbound = Outbound()
        self._say = self._outbound.say
        self._asked = Asked()
        self._owed = Owed()
        self._inbound = Inbound(self._asked, self._owed, self._pulse, self._say)
        if role is Role.DIALLER:
            self._say(self._handshake.hello())

    # -- what there is to know ----------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether messages about pieces may be sent."""
        return self.state is State.OPEN

    @property
    def closed(self) -> bool:
        """Whether nothing is said or heard any more; output may still wait."""
        return self.state is State.CLOSED

    @property
    def remote(self) -> Hello | None:
        """The other side's HELLO once it was accepted; proved when the session is open."""
        return self._handshake.remote

    @property
    def offer(self) -> Offer | None:
        """Our side of the task; for a listener known when the dialler's HELLO was accepted."""
        return self._handshake.offer

    @property
    def version(self) -> int:
        """The version that both speak, once ``remote`` is there."""
        return self._handshake.version

    @property
    def features(self) -> int:
        """The feature bits that both set, once ``remote`` is there."""
        return self._handshake.features

    @property
    def pending_haves(self) -> int:
        """HAVEs that wait for a message to ride on."""
        return self._outbound.haves

    @property
    def queued_bytes(self) -> int:
        """What the next :meth:`take_output` will give."""
        return self._outbound.size_bytes

    @property
    def slice_left(self) -> int:
        """Bytes that the neighbour has announced, so that nothing else can come before them."""
        return self._reader.slice_left

    @property
    def questions_asked(self) -> int:
        """Our questions that have no end yet, cancelled ones included."""
        return len(self._asked)

    @property
    def questions_owed(self) -> int:
        """The neighbour's questions that have no end yet."""
        return len(self._owed)

    def next_deadline(self) -> float | None:
        """When :meth:`tick` is to be called; None when closed. It moves with every byte."""
        return None if self.closed else self._pulse.deadline

    # -- bytes and time -------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take what the connection brought and tell what it means.

        When closed already, bytes are ignored.

        :raises RemoteProtocolError: the other side violated the protocol. BYE is queued, the
            session is closed, and the events before that are in the error's ``events``.
        """
        events: list[Event] = []
        if self.closed:
            return events
        self._pulse.heard(now)
        try:
            for item in self._reader.feed(data):
                if not self._take(item, events, now):
                    break
        except RemoteProtocolError as error:
            error.events = tuple(events)
            self._close(error.code, str(error))
            raise
        return events

    def take_output(self) -> list[bytes]:
        """Hand over what is to be written, in order; slices are chunks of their own."""
        return self._outbound.take()

    def tick(self, now: float) -> list[Event]:
        """Do what is due; too early is no error. There are no events in version 1.

        :raises PeerTimedOut: the handshake or a PONG is late. BYE is queued and the session
            is closed.
        """
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        if self._pulse.waits:
            error = PeerTimedOut(self._pulse.describe(now))
            self._close(error.code, str(error))
            raise error
        self.ping(now)
        return []

    # -- saying things ----------------------------------------------------------------

    def queue_have(self, pieces: Iterable[int]) -> None:
        """Show pieces with the next REQUEST, REQUEST_ANY, DATA or :meth:`flush_have`."""
        self._outbound.show(pieces)

    def flush_have(self) -> None:
        """Show the queued pieces now."""
        self._must_be_open()
        self._outbound.flush_haves()

    def send_digests(self, raw: bytes) -> None:
        """Pass on a signed run."""
        self._send(Digests(raw))

    def send_get_digests(self, first: int) -> None:
        """Ask for the runs from piece ``first`` on; the answer is up to 32 runs, or nothing."""
        self._send(GetDigests(first))

    def send_bitfield(self, count: int, bits: bytes) -> None:
        """Show all that we have; queued HAVEs are part of it and are dropped."""
        self._send(BitfieldFrame(count, bits))
        self._outbound.drop_haves()

    def request(self, piece: int, begin: int, length: int) -> None:
        """Ask for bytes of a piece whose digest, hence length, is known.

        :raises LocalProtocolError: the same is asked for and not cancelled, 64 questions
            have no end yet, or the range is not inside a piece.
        """
        self._must_be_open()
        self._asked.request(piece, begin, length)
        self._say(Request(piece, begin, length, self._outbound.ride()))

    def request_any(self, in_flight: Sequence[int]) -> None:
        """Ask a seed for any piece but those that we show, and these (the first 32 count).

        :raises LocalProtocolError: 64 questions have no end yet.
        """
        self._must_be_open()
        self._asked.request_any()
        flying = tuple(in_flight[:MAX_IN_FLIGHT])
        self._say(RequestAny(flying, self._outbound.ride()))

    def cancel(self, piece: int, begin: int) -> bool:
        """Take a question back: a REQUEST by its name, a REQUEST_ANY by the piece that answers
        it and 0, or one that has no answer yet by ``ANY_PIECE`` and 0.

        What still comes of it is marked as not wanted. False: it had ended already.
        """
        self._must_be_open()
        name = self._asked.cancel(piece, begin)
        if name is not None:
            self._say(Cancel(*name))
        return name is not None

    def answer_any(self, piece: int, length: int) -> bool:
        """Choose the whole of ``piece`` as the answer to the oldest REQUEST_ANY without one.

        Its bytes follow with :meth:`send_data`. False: no REQUEST_ANY is outstanding.

        :param length: of the piece.
        :raises LocalProtocolError: this piece is asked for or being sent to this neighbour.
        """
        self._must_be_open()
        return self._owed.bind(piece, length)

    def send_data(self, piece: int, begin: int, payload: bytes) -> bool:
        """Send the next slice of an answer; False if nobody waits for it (any more).

        :param payload: 1 byte to 256 KiB; not copied.
        """
        self._must_be_open()
        if not 1 <= len(payload) <= SLICE_BYTES:
            raise LocalProtocolError(f"a slice of {len(payload)} bytes")
        head = self._owed.answer(piece, begin, len(payload))
        if head is None:
            return False
        out = self._outbound
        data = Data(piece, begin, len(payload), head.last, head.any, out.ride())
        out.say_slice(data, payload)
        return True

    def reject(self, piece: int, begin: int, code: ErrorCode) -> bool:
        """End a question without (more) bytes, named as in :meth:`cancel`.

        False: it had ended already.
        """
        self._must_be_open()
        name = self._owed.reject(piece, begin)
        if name is not None:
            self._say(Reject(*name, code))
        return name is not None

    def ping(self, now: float) -> bool:
        """Ask for a sign of life, which tells the round trip; False while one is awaited."""
        self._must_be_open()
        token = self._pulse.ping(now)
        if token is not None:
            self._say(Ping(token))
        return token is not None

    def bye(self, code: ErrorCode = ErrorCode.NO_ERROR, text: str = "") -> None:
        """Say the last word, in any state but closed; nothing is received any more."""
        if self.closed:
            raise LocalProtocolError("the session is closed already")
        self._close(code, text)

    # -- inside ---------------------------------------------------------------------

    def _must_be_open(self) -> None:
        if self.state is not State.OPEN:
            raise LocalProtocolError(f"the session is not open but {self.state.name}")

    def _send(self, message: Message) -> None:
        self._must_be_open()
        self._say(message)

    def _close(self, code: ErrorCode, text: str) -> None:
        self.state = State.CLOSED
        self._say(Bye(code, text))

    def _take(self, item: Item, events: list[Event], now: float) -> bool:
        """Act on one item of the stream; False when it was the last."""
        if isinstance(item, memoryview):
            events.append(self._inbound.take_slice(item))
        elif isinstance(item, Data):
            events += self._inbound.take(item, now)
        elif item.kind is Kind.HELLO:
            self._take_hello(item, now)
        else:
            self._take_frame(item, events, now)
        return not self.closed

    def _check_allowed(self, kind: Kind) -> None:
        if (self.state, kind) not in TABLE:
            raise UnexpectedMessage(f"{kind.name} in state {self.state.name}")

    def _take_hello(self, frame: Frame, now: float) -> None:
        self._handshake.check(frame.payload, now)
        if self.role is Role.LISTENER:
            self._say(self._handshake.hello())
            self._say(self._handshake.proof())
        self._move(Kind.HELLO)

    def _take_frame(self, frame: Frame, events: list[Event], now: float) -> None:
        message = decode(frame.kind, frame.payload)
        if isinstance(message, Auth):
            self._take_auth(message, events)
        elif isinstance(message, Bye):
            events.append(Closed(message.code, message.text))
        else:
            events += self._inbound.take(message, now)
        self._move(frame.kind)

    def _take_auth(self, auth: Auth, events: list[Event]) -> None:
        hello = self._handshake.check_proof(auth)
        if self.role is Role.DIALLER:
            self._say(self._handshake.proof())
        self._asked.piece_size = self._owed.piece_size = hello.piece_size
        self._pulse.opened()
        events.append(Opened(hello))

    def _move(self, kind: Kind) -> None:
        self.state = TABLE[self.state, kind].target
