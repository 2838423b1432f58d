"""The origin with bad manners, started."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.rig.scene import Scene

__all__ = ["OddOrigin"]


class OddOrigin:
    """See ``odd_origin.py`` for what its paths mean. Serves ``files``."""

    def __init__(self, scene: Scene) -> None:
        self.files = scene.directory("odd")
        told = scene.root / "odd-port"
        program = Path(__file__).with_name("odd_origin.py")
        scene.start("odd-origin", [sys.executable, str(program), str(self.files), str(told)])
        scene.wait_until(told.exists, "odd origin")
        self.port = int(told.read_text())

    def url(self, path: str) -> str:
        """The URL of a path that begins with no slash."""
        return f"http://127.0.0.1:{self.port}/{path}"
