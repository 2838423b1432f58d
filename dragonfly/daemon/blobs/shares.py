"""Whose bytes a client got; pure."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["shares"]

_NOTED = {"cache": "cache", "peers": "peers", "cdn": "cdn", "origin": "registry"}


def shares(sent: int, sources: Mapping[str, int]) -> dict[str, int]:
    """Divide ``sent`` bytes by source, in the proportions that the download has them from.

    A download may have more than its client got (a part of a blob), and who was first is
    not known of each byte. The shares add up to ``sent``.
    """
    total, left = sum(sources.values()), sent
    parts: dict[str, int] = {}
    for kind, count in sources.items():
        part = min(left, round(sent * count / total)) if total else 0
        parts[_NOTED[kind]] = part
        left -= part
    largest = max(parts, key=lambda kind: parts[kind], default="cache")
    parts[largest] = parts.get(largest, 0) + left
    return parts
