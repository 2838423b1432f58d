"""YAML with the place of every key, so that an error can name file and line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import yaml

from dragonfly.config.nodes import Node, named_nodes
from dragonfly.config.values import Parser
from dragonfly.errors import ConfigError

__all__ = ["Entry", "entries", "fields", "mappings", "nodes", "read", "texts", "top", "unknown"]


@attrs.frozen
class Entry:
    """One ``key: value`` of a mapping, with the place where it stands."""

    key: str
    node: yaml.Node
    source: str
    line: int

    @property
    def where(self) -> str:
        """File and line, for errors."""
        return f"{self.source}:{self.line}"

    @property
    def empty(self) -> bool:
        """Whether nothing is said: no value, an empty one, or an empty list or mapping."""
        return _empty(self.node) or not self.node.value

    def text(self) -> str:
        """The value if it is a plain one.

        :raises ConfigError: it is a list or a mapping.
        """
        if not isinstance(self.node, yaml.ScalarNode):
            raise ConfigError(f"{self.where}: {self.key} must be a single value")
        return str(self.node.value)


def read(path: Path) -> str:
    """Give the text of a file.

    :raises ConfigError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None


def top(text: str, source: str) -> Iterator[Entry]:
    """Give the entries of a file; the errors are those of :func:`entries`."""
    return entries(_compose(text, source), source, "the file")


def _compose(text: str, source: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{source}{line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not YAML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{source}: nested too deeply") from None


def entries(node: yaml.Node | None, source: str, what: str) -> Iterator[Entry]:
    """Give the entries of a mapping; an absent or empty one has none.

    :raises ConfigError: it is no mapping, or a key is no word or comes twice.
    """
    if _empty(node):
        return
    if not isinstance(node, yaml.MappingNode):
        where = f"{source}:{_line(node)}"
        raise ConfigError(f"{where}: {what} must be a mapping of keys to values")
    seen = set()
    for key, value in node.value:
        where = f"{source}:{_line(key)}"
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{where}: a key of {what} is not a word")
        if key.value in seen:
            raise ConfigError(f"{where}: {key.value} is given twice in {what}")
        seen.add(key.value)
        yield Entry(str(key.value), value, source, _line(key))


def texts(entry: Entry, form: str) -> Iterator[tuple[str, str]]:
    """Give a list of plain values, each behind its place; a single value is a list of one.

    :param form: what an item should be, for the error.
    :raises ConfigError: an item is not plain.
    """
    if not isinstance(entry.node, yaml.SequenceNode):
        if not _empty(entry.node):
            yield entry.where, entry.text()
        return
    for item in entry.node.value:
        where = f"{entry.source}:{_line(item)}"
        if not isinstance(item, yaml.ScalarNode):
            raise ConfigError(f"{where}: an entry of {entry.key} is not {form}")
        yield where, str(item.value)


def mappings(entry: Entry) -> Iterator[Entry]:
    """Give the items of a list of mappings, as entries of the same key.

    :raises ConfigError: it is no list.
    """
    if entry.empty:
        return
    if not isinstance(entry.node, yaml.SequenceNode):
        raise ConfigError(f"{entry.where}: {entry.key} must be a list")
    for item in entry.node.value:
        yield Entry(entry.key, item, entry.source, _line(item))


def fields(section: Entry, table: Mapping[str, tuple[str, Parser]]) -> dict[str, Any]:
    """Read a mapping by a table of its keys: under which name a value is given, and its parser.

    Lists become tuples: a name that ends with ``[]`` in the table takes several.

    :raises ConfigError: a key is unknown, or a value is wrong.
    """
    found: dict[str, Any] = {}
    for entry in entries(section.node, section.source, section.key):
        if entry.key not in table:
            raise unknown(entry, section.key, table)
        name, parse = table[entry.key]
        if name.endswith("[]"):
            items = texts(entry, "the name of a file")
            found[name[:-2]] = tuple(parse(f"{at}: {entry.key}", text) for at, text in items)
        else:
            found[name] = parse(f"{entry.where}: {entry.key}", entry.text())
    return found


def nodes(entry: Entry) -> tuple[Node, ...]:
    """Give a list of supernodes.

    :raises ConfigError: naming the line.
    """
    lists = texts(entry, "host:port=weight")
    return tuple(node for at, text in lists for node in named_nodes(f"{at}: {entry.key}", text))


def unknown(entry: Entry, what: str, known: Mapping[str, object]) -> ConfigError:
    """Make the error for a key that nobody ever knew, with the nearest one that is known."""
    close = difflib.get_close_matches(entry.key, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return ConfigError(f"{entry.where}: unknown key {entry.key!r} in {what}{hint}")


def _empty(node: yaml.Node | None) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~"))


def _line(node: yaml.Node | None) -> int:
    return 1 if node is None else node.start_mark.line + 1
