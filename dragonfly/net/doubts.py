"""URLs whose HEAD does not tell what a GET would: they are asked in another way."""

from __future__ import annotations

from dragonfly.store.newest import Newest

__all__ = ["DOUBTS_MAX", "Doubts"]

DOUBTS_MAX = 1024
"""URLs remembered; one that is forgotten costs a wrong answer before it is known again."""


class Doubts:
    """Remembers URLs, the newest :data:`DOUBTS_MAX` of them."""

    def __init__(self, most: int = DOUBTS_MAX) -> None:
        self._urls: Newest[str, None] = Newest(most)

    def __contains__(self, url: str) -> bool:
        return url in self._urls

    def add(self, url: str) -> None:
        """Remember ``url``."""
        self._urls.put(url, None)
