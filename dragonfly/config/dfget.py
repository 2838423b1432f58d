"""``dfget.yml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from dragonfly.config import values, yamlfile
from dragonfly.config.nodes import Node
from dragonfly.config.values import Parser

__all__ = ["DfgetConfig", "load_dfget_config", "parse_dfget_config"]


@attrs.frozen(kw_only=True)
class DfgetConfig:
    """What ``dfget.yml`` says; rates are bytes per second, ``None`` where it is silent."""

    nodes: tuple[Node, ...] = ()
    local_limit: int | None = None
    min_rate: int | None = None
    total_limit: int | None = None
    client_queue: int | None = None


_KEYS: dict[str, tuple[str, Parser]] = {
    "localLimit": ("local_limit", values.rate),
    "minRate": ("min_rate", values.rate),
    "totalLimit": ("total_limit", values.rate),
    "clientQueueSize": ("client_queue", values.count),
}


def load_dfget_config(path: Path | str) -> DfgetConfig:
    """Read a ``dfget.yml``.

    :raises ConfigError: it cannot be read, or a key or value is wrong.
    """
    return parse_dfget_config(yamlfile.read(Path(path)), str(path))


def parse_dfget_config(text: str, source: str = "dfget.yml") -> DfgetConfig:
    """Build the configuration from the text of a ``dfget.yml``.

    :raises ConfigError: naming file, line, key and value.
    """
    found: dict[str, Any] = {}
    for entry in yamlfile.top(text, source):
        if entry.key == "nodes":
            found["nodes"] = yamlfile.nodes(entry)
        elif entry.key in _KEYS:
            name, parse = _KEYS[entry.key]
            found[name] = parse(f"{entry.where}: {entry.key}", entry.text())
        else:
            raise yamlfile.unknown(entry, "the file", {**_KEYS, "nodes": None})
    return DfgetConfig(**found)
