"""What a hub of models (Hugging Face) says of a file beside what every server says; pure.

The hub redirects to a storage, and its client takes version, name in the cache, and size from the
headers of that redirect. We follow it for the client, so the answer has both.
"""

from __future__ import annotations

from dragonfly.net.reply import OriginReply

__all__ = ["HTTP_MAX", "model_headers", "needs_xet"]

_SAID = ("X-Repo-Commit", "X-Linked-ETag", "X-Linked-Size")

HTTP_MAX = 50 * 1000**3
"""The hub's client does not fetch larger files over HTTP, but by the protocol Xet."""


def model_headers(reply: OriginReply) -> list[tuple[str, str]]:
    """The hub's headers; those by which a client would use Xet, past us, are not among them."""
    found = ((name, reply.passed_header(name) or reply.header(name)) for name in _SAID)
    return [(name, value) for name, value in found if value is not None]


def needs_xet(reply: OriginReply) -> bool:
    """Whether the client must learn of Xet, because it would refuse to fetch this otherwise."""
    size = reply.passed_header("x-linked-size") or ""
    by_xet = reply.passed_header("x-xet-hash") is not None
    return by_xet and size.isdecimal() and int(size) > HTTP_MAX
