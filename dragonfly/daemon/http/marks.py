"""The headers ``X-Dragonfly-...`` that say whose an answer is: the origin's, or whose error; pure.

``Error-Type`` is a name that snapshotters know from Dragonfly's second version; ``Source`` is
ours.
"""

from __future__ import annotations

from dragonfly.daemon.http.messages import Headers

__all__ = ["BACKEND", "DFDAEMON", "FROM_ORIGIN", "PROXY", "SOURCE", "error_type"]

SOURCE = b"X-Dragonfly-Source"
_ERROR = b"X-Dragonfly-Error-Type"

FROM_ORIGIN: Headers = ((SOURCE, b"origin"),)
"""Of what is passed straight on."""

BACKEND: Headers = ((_ERROR, b"backend"),)
"""It is the origin's error, or that of the way there."""

# Not implemented, not that version of HTTP, a loop: the client could have asked otherwise.
_NOT_DONE = frozenset({501, 505, 508})

PROXY: Headers = ((_ERROR, b"proxy"),)
"""It is the client who asks for something that we do not do."""

DFDAEMON: Headers = ((_ERROR, b"dfdaemon"),)
"""It is our own."""


def error_type(status: int) -> Headers:
    """Whose error an answer of ours is, by its status."""
    if status in (502, 504):
        return BACKEND
    return PROXY if status < 500 or status in _NOT_DONE else DFDAEMON
