"""What the manual tells people to configure, read from its pages."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import attrs

from dragonfly.config.daemon import parse_daemon_config
from dragonfly.daemon.routing.rules import Rule

__all__ = ["documented_rules"]

_PAGES = Path(__file__).parents[2] / "doc"
_BLOCK = re.compile(r"\n\n((?:    .*\n)+)")


def documented_rules(page: str) -> list[Rule]:
    """All ``proxies:`` rules of a page, read as dfdaemon reads them."""
    blocks = _BLOCK.findall((_PAGES / page).read_text())
    texts = [textwrap.dedent(block) for block in blocks]
    found = [parse_daemon_config(text) for text in texts if text.startswith("proxies:")]
    return [Rule(**attrs.asdict(rule)) for config in found for rule in config.proxies]
