"""What is tested by replaying requests, because the program itself cannot be run here.

A test that does so adds an entry; ``doc/compatibility.rst`` lists them.
"""

from __future__ import annotations

import attrs

__all__ = ["REPLAYED", "Replayed"]


@attrs.frozen(kw_only=True)
class Replayed:
    """One program whose requests are replayed.

    :ivar client: with its version.
    :ivar what: the requests, in a few words.
    :ivar test: the file that does it, from the root of the repository.
    """

    client: str
    what: str
    test: str


REPLAYED: tuple[Replayed, ...] = ()
