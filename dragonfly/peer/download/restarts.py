"""How often one download begins again, and when it had better do so without the swarm."""

from __future__ import annotations

from dragonfly.errors import OriginChanged, OriginError

__all__ = ["CHANGES_IN_SWARM", "MAX_CUTS", "MAX_RESTARTS", "Restarts"]

MAX_RESTARTS = 5
"""A content that changes more often during one download is not going to be had."""

CHANGES_IN_SWARM = 3
"""So many times the swarm may find the content changed: an origin that tells each request
another version can only be read in one go, and alone."""

MAX_CUTS = 1
"""A transfer that was cut and cannot be continued is begun again, but not again and again."""


class Restarts:
    """Counts what ended a download's attempts: contents that changed, and transfers cut short."""

    def __init__(self) -> None:
        self._changes = 0
        self._cuts = 0

    def count(self, error: OriginError) -> None:
        """An attempt ended with ``error``: OriginChanged, or OriginTruncated where nothing told
        how to continue it.

        :raises OriginError: it was one too many; the same ``error``.
        """
        if isinstance(error, OriginChanged):
            self._changes += 1
        else:
            self._cuts += 1
        if self._changes > MAX_RESTARTS or self._cuts > MAX_CUTS:
            raise error

    @property
    def hopeless_in_swarm(self) -> bool:
        """Whether the swarm found the content changed too often to be asked again."""
        return self._changes >= CHANGES_IN_SWARM
