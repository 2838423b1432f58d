"""A registry with images in it, a supernode, and hosts with dfdaemon."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import attrs

from tests.e2e.rig.curl import Curl
from tests.e2e.rig.daemon import Dfdaemon
from tests.e2e.rig.images import Blob, Layout
from tests.e2e.rig.registry import Registry
from tests.e2e.rig.scene import Scene
from tests.e2e.rig.skopeo import Skopeo
from tests.e2e.rig.supernode import Supernode

__all__ = ["Depot"]


@attrs.frozen(kw_only=True)
class Depot:
    """What the tests of one module share; each of them pulls images of its own."""

    scene: Scene
    registry: Registry
    supernode: Supernode
    hosts: tuple[Dfdaemon, ...]
    skopeo: Skopeo
    curl: Curl
    layout: Layout
    seeds: Callable[[], int]

    @classmethod
    def made(
        cls,
        scene: Scene,
        *,
        registry: Registry | None = None,
        hosts: int = 2,
        flags: tuple[str, ...] = (),
    ) -> Depot:
        """Start everything.

        :param flags: of each dfdaemon.
        """
        found = registry or Registry(scene)
        supernode = Supernode(scene)
        return cls(
            scene=scene,
            registry=found,
            supernode=supernode,
            hosts=tuple(
                Dfdaemon(scene, f"d{number}", found.url(), supernode.node, flags=flags)
                for number in range(1, hosts + 1)
            ),
            skopeo=Skopeo(scene),
            curl=Curl(scene),
            layout=Layout(scene.root / "layout"),
            seeds=itertools.count(1).__next__,
        )

    @property
    def first(self) -> Dfdaemon:
        """The host that comes first."""
        return self.hosts[0]

    @property
    def second(self) -> Dfdaemon:
        """The host that comes after it."""
        return self.hosts[1]

    def layer(self, size: int) -> Blob:
        """A layer that no other test has."""
        return self.layout.layer(size, seed=self.seeds())

    def took(self, host: Dfdaemon, blob: Blob) -> Counter[str]:
        """Where a host had the bytes of a blob from, in all answers that went to the end.

        It waits for the first of them.
        """
        found = self.scene.wait_until(
            lambda: [line for line in host.requests(blob.digest) if line.sent == blob.size],
            "line in the access log of dfdaemon",
        )
        return sum((Counter(line.sources) for line in found), Counter())

    def once(self, blob: Blob) -> None:
        """Check that exactly one copy of a blob left the registry."""
        self.scene.wait_until(lambda: self.registry.sent(blob), "line in the access log")
        assert self.registry.sent(blob) == blob.size, self.registry.served(blob)
