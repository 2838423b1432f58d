"""Sphinx configuration of the manual."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dragonfly import __version__

project = "Dragonfly"
author = "The Dragonfly authors"
copyright = "The Dragonfly authors"
release = version = __version__
extensions: list[str] = []
exclude_patterns = ["_build", "newsfragments"]
html_theme = "furo"
nitpicky = True
