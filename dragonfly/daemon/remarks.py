"""What an answer says of us: the headers ``X-Dragonfly-...``; pure.

``Task-ID``, ``Task-Download-Finished`` and ``Error-Type`` are names that snapshotters know from
Dragonfly's second version; ``Source`` is ours.
"""

from __future__ import annotations

from dragonfly.daemon.http import Headers
from dragonfly.daemon.source import Source
from dragonfly.daemon.transferring import Transferring, layout_of

__all__ = ["BACKEND", "DFDAEMON", "FROM_ORIGIN", "PROXY", "error_type", "remarks"]

_SOURCE = b"X-Dragonfly-Source"
_ERROR = b"X-Dragonfly-Error-Type"

FROM_ORIGIN: Headers = ((_SOURCE, b"origin"),)
"""Of what is passed straight on."""

BACKEND: Headers = ((_ERROR, b"backend"),)
"""It is the origin's error, or that of the way there."""

# Not implemented, not that version of HTTP, a loop: the client could have asked otherwise.
_NOT_DONE = frozenset({501, 505, 508})

PROXY: Headers = ((_ERROR, b"proxy"),)
"""It is the client who asks for something that we do not do."""

DFDAEMON: Headers = ((_ERROR, b"dfdaemon"),)
"""It is our own."""


def remarks(source: Source, download: Transferring | None) -> Headers:
    """Where the bytes come from, as far as that is known before them.

    ``cache``: all are here; ``swarm``: from peers and supernode, and the origin where those
    fail; ``origin``.
    """
    said: Headers = ()
    if source.task:
        said = ((b"X-Dragonfly-Task-ID", source.task.hex().encode()),)
    if download is None:
        return (*said, *FROM_ORIGIN)
    if _is_here(download):
        finished = (b"X-Dragonfly-Task-Download-Finished", b"true")
        return (*said, finished, (_SOURCE, b"cache"))
    return (*said, (_SOURCE, b"swarm"))


def _is_here(download: Transferring) -> bool:
    """Whether all of it was on this host before anybody asked for it now."""
    layout = layout_of(download)
    length = layout.length if layout is not None else None
    return length is not None and download.sources["cache"] >= length


def error_type(status: int) -> Headers:
    """Whose error an answer of ours is, by its status."""
    if status in (502, 504):
        return BACKEND
    return PROXY if status < 500 or status in _NOT_DONE else DFDAEMON
