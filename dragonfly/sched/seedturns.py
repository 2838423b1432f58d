"""Which neighbour a seed serves when a slot is free, over all of its tasks.

Questions stand in no queue of pieces: a neighbour that asked waits in line, and the piece is
chosen when its turn comes, from what is rare then.
"""

from __future__ import annotations

from collections import OrderedDict

import attrs

from dragonfly.sched.seeding import Receiver

__all__ = ["REST_FACTOR", "Turn", "Turns"]

REST_FACTOR = 7
"""A limited neighbour rests so many times as long as its last answer took, so it gets at most
an eighth of what its link would take. It is never shut out: who cannot be reached by the
others looks the same from here, and so does a swarm that has just begun."""


@attrs.frozen(kw_only=True)
class Turn:
    """A slot for ``receiver``.

    :ivar piece: chosen for it; ``None``: its oldest question by name is to be answered.
    :ivar limited: it owed too much.
    """

    receiver: Receiver
    piece: int | None
    limited: bool


class Turns:
    """Everybody who waits.

    * Who was served longest ago goes first, whatever the task and the kind of question.
    * A *limited* neighbour (:meth:`~dragonfly.sched.seeding.Seeding.limited`) goes only when
      no other can be given anything, the one that owes least first. While its task has
      answers under way to neighbours in good standing, and most are that, it also has to have
      rested.

    The cost of a turn is that of looking at one neighbour, plus at those that are limited.

    :ivar wake: when somebody who rests may be served; ``None``: nobody rests.
    """

    def __init__(self) -> None:
        self.wake: float | None = None
        self._line: OrderedDict[Receiver, None] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether somebody waits for whom there may be something."""
        return bool(self._line)

    # -- questions ----------------------------------------------------------------------

    def ask_any(self, receiver: Receiver, in_flight: int) -> None:
        """``receiver`` wants any piece but those of the mask ``in_flight``."""
        receiver.any += 1
        receiver.in_flight = in_flight
        self.enter(receiver)

    def ask_named(self, receiver: Receiver) -> None:
        """``receiver`` wants a certain piece."""
        receiver.named += 1
        self.enter(receiver)

    def drop_any(self, receiver: Receiver) -> None:
        """A question for any piece was taken back."""
        receiver.any = max(0, receiver.any - 1)
        self._leave_if_done(receiver)

    def drop_named(self, receiver: Receiver) -> None:
        """A question by name was taken back."""
        receiver.named = max(0, receiver.named - 1)
        self._leave_if_done(receiver)

    def enter(self, receiver: Receiver) -> None:
        """There may be something for ``receiver``: let it wait, if it has asked."""
        if receiver.any or receiver.named:
            self._line.setdefault(receiver)

    def leave(self, receiver: Receiver) -> None:
        """``receiver`` is gone."""
        receiver.any = receiver.named = 0
        self._line.pop(receiver, None)

    # -- turns --------------------------------------------------------------------------

    def next(self, now: float) -> Turn | None:
        """Who gets a slot that is free; its question no longer waits.

        Each turn is to be ended by :meth:`ended`. Who has nothing to get leaves the line
        until :meth:`enter`. ``None``: nobody is to be served before something changes or
        :attr:`wake` is due.
        """
        self.wake = None
        limited = []
        for _ in range(len(self._line)):
            receiver = next(iter(self._line))
            piece = None if receiver.named else receiver.seeding.choose(receiver)
            if piece is None and not receiver.named:
                del self._line[receiver]
                continue
            self._line.move_to_end(receiver)
            turn = Turn(receiver=receiver, piece=piece, limited=receiver.seeding.limited(receiver))
            if not turn.limited:
                return self._begin(turn)
            limited.append(turn)
        return self._least_in_debt(limited, now)

    def ended(self, turn: Turn, took: float, now: float) -> None:
        """The answer is out, or given up, ``took`` seconds after it began."""
        if not turn.limited:
            turn.receiver.seeding.running -= 1
        turn.receiver.rests_until = now + REST_FACTOR * took

    def _least_in_debt(self, limited: list[Turn], now: float) -> Turn | None:
        ready = []
        for turn in limited:
            receiver, task = turn.receiver, turn.receiver.seeding
            if receiver.rests_until > now and task.running and task.stallers():
                self.wake = min(self.wake or receiver.rests_until, receiver.rests_until)
            else:
                ready.append(turn)
        if not ready:
            return None
        return self._begin(min(ready, key=lambda turn: turn.receiver.seeding.debt(turn.receiver)))

    def _begin(self, turn: Turn) -> Turn:
        receiver = turn.receiver
        if turn.piece is None:
            receiver.named -= 1
        else:
            receiver.any -= 1
        if not turn.limited:
            receiver.seeding.running += 1
        self._line.move_to_end(receiver)
        self._leave_if_done(receiver)
        return turn

    def _leave_if_done(self, receiver: Receiver) -> None:
        if not receiver.any and not receiver.named:
            self._line.pop(receiver, None)
