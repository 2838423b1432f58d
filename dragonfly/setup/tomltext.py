"""TOML with the file and line in every error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError

from dragonfly.errors import ConfigError

__all__ = ["document", "line_of", "read", "table"]


def document(text: str, source: str) -> tomlkit.TOMLDocument:
    """Parse for editing.

    :raises ConfigError: it is not TOML; the text names file and line.
    """
    try:
        return tomlkit.parse(text)
    except ParseError as error:
        raise ConfigError(f"{source}:{error.line}: not TOML: {error}") from None
    except TOMLKitError as error:  # keys given twice have no line
        raise ConfigError(f"{source}: not TOML: {error}") from None


def read(text: str, source: str) -> dict[str, Any]:
    """Parse to plain values, in the order of the file.

    :raises ConfigError: as :func:`document`.
    """
    try:
        return dict(document(text, source).unwrap())
    except TOMLKitError as error:
        raise ConfigError(f"{source}: not TOML: {error}") from None


def table(values: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Give a table inside others; an empty one where any of them is missing or no table."""
    found: Any = values
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def line_of(text: str, pattern: str) -> int:
    """Give the number of the first line that the pattern is found in; 1 if there is none."""
    found = re.search(pattern, text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1
