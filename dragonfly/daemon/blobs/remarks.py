"""What the answer with a content says of us: the headers ``X-Dragonfly-...``; pure.

``Task-ID`` and ``Task-Download-Finished`` are names that snapshotters know from Dragonfly's
second version.
"""

from __future__ import annotations

from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.blobs.transferring import Transferring, layout_of
from dragonfly.daemon.http.marks import FROM_ORIGIN, SOURCE
from dragonfly.daemon.http.messages import Headers

__all__ = ["remarks"]


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
        return (*said, finished, (SOURCE, b"cache"))
    return (*said, (SOURCE, b"swarm"))


def _is_here(download: Transferring) -> bool:
    """Whether all of it was on this host before anybody asked for it now."""
    layout = layout_of(download)
    length = layout.length if layout is not None else None
    return length is not None and download.sources["cache"] >= length
