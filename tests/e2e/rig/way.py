"""How a client is told to reach a registry, and what came of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Protocol, runtime_checkable

import attrs

from tests.e2e.rig.cargo import Cargo
from tests.e2e.rig.images import Image
from tests.e2e.rig.network import Host
from tests.e2e.rig.scene import Program
from tests.e2e.rig.sites import PASSWORD, USER, Site

__all__ = ["DEAD", "Engine", "Outcome", "Pusher", "Way"]

DEAD = "127.0.0.1:9"
"""Where nothing ever answers."""

_TAIL = 300
_PATIENCE_S = 240  # of 2 GiB, unpacked, on a machine with other work


@attrs.frozen(kw_only=True)
class Way:
    """From a client on ``host`` to a registry.

    :ivar mode: see ``cells.py``; ``direct``: not by way of dfdaemon at all.
    :ivar through: address and port of dfdaemon.
    :ivar trust: PEM file of the authorities that the client believes.
    """

    host: Host
    mode: str
    site: Site
    through: str
    trust: Path

    @property
    def mirror(self) -> bool:
        """Whether dfdaemon stands in the place of the registry."""
        return self.mode in ("mirror", "many")

    @property
    def target(self) -> str:
        """Where pushes go: a mirror's own name must be used, none is asked in another's place."""
        return self.location if self.mirror else self.site.netloc

    @property
    def location(self) -> str:
        """Of the mirror, for clients that can name the registry in the path only.

        A reference has no colon there, so an underscore stands before the port.
        """
        named = self.site.netloc.replace(":", "_")
        return f"{self.through}/{named}" if self.mode == "many" else self.through

    @property
    def environment(self) -> list[str]:
        """Settings of a client's process, as ``env`` takes them."""
        straight = self.mirror or self.mode == "direct"
        proxies = [] if straight else ["HTTP_PROXY", "HTTPS_PROXY"]
        return [
            f"SSL_CERT_FILE={self.trust}",
            *(f"{name}=http://{self.through}" for name in proxies),
        ]

    @property
    def members(self) -> tuple[str, ...]:
        """Flags for ``--user name:password`` where the registry wants them."""
        return ("--user", f"{USER}:{PASSWORD}") if self.site.members else ()

    def logins(self, *more: str) -> str:
        """The file that ``docker login`` writes, for the registry and for whatever else."""
        word = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        hosts = (self.site.netloc, self.through, *more) if self.site.members else ()
        return json.dumps({"auths": {host: {"auth": word} for host in hosts}})


@attrs.frozen(kw_only=True)
class Outcome:
    """Of one pull.

    :ivar why: the end of what the client said; empty if the image is there and right.
    """

    why: str

    @classmethod
    def of(cls, program: Program, seconds: float = _PATIENCE_S) -> Outcome:
        """Wait for the client's end."""
        code = program.wait(seconds)
        return cls(why="" if code == 0 else f"ended with {code}: {program.text()[-_TAIL:]}")

    def checked(self, got: object, wanted: object) -> Outcome:
        """The same, unless what came is not what was wanted."""
        return self if self.why or got == wanted else Outcome(why=f"{got} instead of {wanted}")

    @property
    def good(self) -> bool:
        """Whether the image is there and right."""
        return not self.why


class Engine(Protocol):
    """A client that pulls images."""

    name: str

    def pull(self, way: Way, reference: str, image: Image) -> Outcome:
        """Pull ``repository:tag``, and compare digests with those of ``image``."""
        ...

    def version(self) -> str:
        """What it says of itself."""
        ...

    def forget(self) -> None:
        """Remove all that it has pulled."""
        ...


@runtime_checkable
class Pusher(Protocol):
    """A client that pushes them, too."""

    def push(self, way: Way, reference: str, cargo: Cargo) -> Outcome:
        """Push to ``repository:tag``."""
        ...
