"""What tests share that leave everything as it was: starting it costs seconds."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tests.e2e.rig.home import Home
from tests.e2e.rig.nginx import Nginx
from tests.e2e.rig.oddities import OddOrigin
from tests.e2e.rig.scene import Scene
from tests.e2e.rig.supernode import Supernode

__all__ = ["Stage"]


@attrs.frozen(kw_only=True)
class Stage:
    """An origin, another with bad manners, a supernode, and homes.

    ``home`` is one whose peer process all tests share; ``fresh`` makes one that nobody has
    used.
    """

    scene: Scene
    nginx: Nginx
    odd: OddOrigin
    supernode: Supernode
    home: Home
    fresh: Callable[[], Home]
