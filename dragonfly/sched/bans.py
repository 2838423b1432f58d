"""Who is kept out of the swarms, for how long, and why. Pure: time comes in.

A complaint is no proof, since pieces are not signed by who sends them. So one complainer
counts once, and only several at different addresses have somebody banned. A complaint
fades with time, and so does a ban.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import attrs

__all__ = [
    "ACCUSED_MAX",
    "BAN_LONGEST_S",
    "BAN_S",
    "FADE_S",
    "SOURCES_NEEDED",
    "WEIGHT_NEEDED",
    "Ban",
    "Bans",
]

SOURCES_NEEDED = 3
"""So many different addresses must complain."""

FADE_S = 600.0
"""A complaint counts half after this time, a quarter after twice of it."""

WEIGHT_NEEDED = 2.0
"""What the complaints must weigh together: three within some six minutes, or more."""

BAN_S = 600.0
"""The first ban of a key; each that follows within :data:`BAN_LONGEST_S` is twice as long."""

BAN_LONGEST_S = 6 * 3600.0
"""... up to this."""

SOURCES_MAX = 16
"""Complainers remembered for each accused."""

ACCUSED_MAX = 4096
"""Accused remembered; those accused longest ago are forgotten first."""

WHY_MAX = 200
"""Characters of a reason that are kept."""


@attrs.frozen(kw_only=True)
class Ban:
    """One ban, as it is shown."""

    key: bytes
    reason: str
    since: float
    until: float


@attrs.define(eq=False)
class _Record:
    """What is held against one key."""

    complaints: dict[str, tuple[float, str]] = attrs.field(factory=dict)
    ban: Ban | None = None
    times: int = 0

    def weight(self, now: float) -> float:
        return sum(math.pow(0.5, (now - at) / FADE_S) for at, _ in self.complaints.values())


class Bans:
    """Complaints and bans of one supernode."""

    def __init__(self) -> None:
        self._records: OrderedDict[bytes, _Record] = OrderedDict()

    def complain(self, key: bytes, source: str, why: str, now: float) -> Ban | None:
        """Somebody at ``source`` accuses ``key``; give the ban if that was the last straw.

        :param source: the complainer's address or network: one of them counts once.
        """
        record = self._record(key)
        if self.reason(key, now) is not None:
            return None
        if source in record.complaints or len(record.complaints) < SOURCES_MAX:
            record.complaints[source] = (now, _shown(why))
        if len(record.complaints) < SOURCES_NEEDED or record.weight(now) < WEIGHT_NEEDED:
            return None
        count = len(record.complaints)
        return self.ban(key, f"{count} addresses complain, the last of: {_shown(why)}", now)

    def ban(self, key: bytes, reason: str, now: float) -> Ban:
        """Keep ``key`` out from now on, for longer each time."""
        record = self._record(key)
        if record.ban is not None and now - record.ban.until > BAN_LONGEST_S:
            record.times = 0
        seconds = min(BAN_S * 2**record.times, BAN_LONGEST_S)
        # More would not lengthen it, and 2**times must not grow for ever.
        record.times = min(record.times + 1, 16)
        record.complaints.clear()
        record.ban = Ban(key=key, reason=_shown(reason), since=now, until=now + seconds)
        return record.ban

    def reason(self, key: bytes, now: float) -> str | None:
        """Why ``key`` is kept out now; ``None`` if it is not."""
        record = self._records.get(key)
        if record is None or record.ban is None or now >= record.ban.until:
            return None
        return record.ban.reason

    def current(self, now: float) -> list[Ban]:
        """All bans that hold now."""
        bans = [record.ban for record in self._records.values() if record.ban is not None]
        return [ban for ban in bans if now < ban.until]

    def _record(self, key: bytes) -> _Record:
        """The record of ``key``, made if there is none; the oldest one makes room."""
        record = self._records.setdefault(key, _Record())
        self._records.move_to_end(key)
        if len(self._records) > ACCUSED_MAX:
            self._records.popitem(last=False)
        return record


def _shown(text: str) -> str:
    """A text from the network, short and printable."""
    return "".join(c if c.isprintable() else "?" for c in text[:WHY_MAX])
