"""A request that is not answered, and how it is refused."""

from __future__ import annotations

__all__ = ["Misrouted"]


class Misrouted(Exception):
    """Not a request that can be answered; ``status`` says how it is refused."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
