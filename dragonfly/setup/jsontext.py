"""JSON files of engines: the order of keys and the indentation stay."""

from __future__ import annotations

import json
import re
from typing import Any

from dragonfly.errors import ConfigError

__all__ = ["dump", "read"]


def read(text: str, source: str) -> dict[str, Any]:
    """Parse an object.

    :raises ConfigError: it is no JSON, no object, or has a key twice; with file and line.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ConfigError(f"{source}: the key {twice!r} is given twice")
        return found

    try:
        value = json.loads(text, object_pairs_hook=unique) if text.strip() else {}
    except json.JSONDecodeError as error:
        comment = re.match(r"\s*(//|/\*|#)", text[error.pos :])
        hint = " (JSON has no comments, and docker takes none)" if comment else ""
        raise ConfigError(f"{source}:{error.lineno}: not JSON: {error.msg}{hint}") from None
    except RecursionError:
        raise ConfigError(f"{source}: nested too deeply") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{source}: must be a JSON object")
    return value


def dump(value: dict[str, Any], like: str = "") -> str:
    """Write an object with the indentation of ``like``."""
    found = re.search(r"^([ \t]+)\"", like, re.MULTILINE)
    indent = found[1] if found else "  "
    text = json.dumps(value, indent=indent, ensure_ascii=False) + "\n"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair: only an escape can say it
            text = json.dumps(value, indent=indent) + "\n"
    return text
