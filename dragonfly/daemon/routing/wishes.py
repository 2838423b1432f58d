"""What a client wants of us besides the content: the headers ``X-Dragonfly-...``; pure.

The names are those that snapshotters and Dragonfly's second version know.
"""

from __future__ import annotations

import attrs

from dragonfly.daemon.http.messages import Headers, find

__all__ = ["Wishes", "wishes_of", "without_wishes"]

_PREFIX = b"x-dragonfly-"


@attrs.frozen(kw_only=True)
class Wishes:
    """What the headers of one request say.

    :ivar registry: which one is asked; empty: not said.
    :ivar filters: query parameters that do not change the content; ``None``: not said.
    :ivar use_p2p: through the swarm, whatever the rules say.
    :ivar prefetch: whether the rest of a content is fetched when a part is asked for;
        ``None``: not said.
    :ivar tag: makes different tasks of one URL, as dfget's ``--identifier`` does.
    """

    registry: str = ""
    filters: tuple[str, ...] | None = None
    use_p2p: bool = False
    prefetch: bool | None = None
    tag: str = ""


def wishes_of(headers: Headers) -> Wishes:
    """Read them; what is not known is passed over."""
    filters = _said(headers, b"filtered-query-params")
    prefetch = _said(headers, b"prefetch")
    labels = (_said(headers, b"tag"), _said(headers, b"application"))
    return Wishes(
        registry=_said(headers, b"registry"),
        filters=_names(filters) if filters else None,
        use_p2p=_said(headers, b"use-p2p").lower() == "true",
        prefetch=prefetch.lower() == "true" if prefetch else None,
        tag="/".join(label for label in labels if label),
    )


def without_wishes(headers: Headers) -> Headers:
    """The other headers: these are nobody else's business."""
    return tuple(line for line in headers if not line[0].lower().startswith(_PREFIX))


def _said(headers: Headers, name: bytes) -> str:
    value = find(headers, _PREFIX + name) or b""
    try:
        return value.decode("utf-8").strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)
