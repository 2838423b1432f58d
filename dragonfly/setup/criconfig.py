"""``config.toml`` of containerd: where its CRI plugin looks for hosts.toml files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs
import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, InlineTable

from dragonfly.errors import ConfigError
from dragonfly.setup import tomltext

__all__ = [
    "CERTS_D",
    "CriConfig",
    "directed",
    "problem",
    "registry_of",
    "undirected",
    "without_cri",
]

CERTS_D = "/etc/containerd/certs.d"

_SECTIONS = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.images"}
_Tables = TypeVar("_Tables", bound="dict[str, Any]")

_COLON = (
    "config_path named several directories; containerd 2.1 and later takes the whole text for "
    "one when it pulls by its transfer service, and then finds no hosts.toml"
)


@attrs.frozen
class CriConfig:
    """What is to stand in the file.

    :ivar text: all of it; ``None``: there is no such file and none is needed.
    :ivar directory: that holds a directory for each registry.
    """

    text: str | None
    directory: str
    notes: tuple[str, ...] = ()


def directed(text: str | None, source: str = "config.toml") -> CriConfig:
    """Have ``config_path`` name one directory; the one that it names stays.

    :raises ConfigError: the file is not TOML, is of version 1, or has ``mirrors`` or
        ``configs`` with TLS, with which containerd does not take ``config_path``.
    """
    values = tomltext.read(text or "", source)
    if not values:
        said = text or ""  # comments at most
        gap = "\n" if said and not said.endswith("\n") else ""
        return CriConfig(said + gap + _fresh(2, head="version = 2\n\n"), CERTS_D)
    if without_cri(values):
        note = f"{source} disables the CRI plugin, so it was left alone: ctr and nerdctl read"
        return CriConfig(text, CERTS_D, (f"{note} {CERTS_D} by --hosts-dir",))
    version = _version(values, source)
    registry = _registry(values, version)
    found = problem(text or "", registry, source)
    if found:
        raise ConfigError(found)
    given = str(registry.get("config_path") or "")
    directory = next((part for part in given.split(":") if part), CERTS_D)
    notes = []
    if values.get("imports"):
        notes.append(f"{source} imports other files, which were not looked at")
    if given == directory:
        return CriConfig(text, directory, tuple(notes))
    made = _with_path(text or "", version, directory, source)
    if ":" in given:
        notes.append(f"{source}: {_COLON}: {directory!r} was kept of {given!r}")
    return CriConfig(made, directory, tuple(notes))


def undirected(text: str, before: str | None, ours: str, source: str = "config.toml") -> str | None:
    """Give ``config_path`` the value that it had before, if it still has ours.

    :param before: the file as it was; ``None``: there was none.
    :param ours: the directory that :func:`directed` wrote.
    :returns: ``None`` if nothing is left in the file.
    """
    values = tomltext.read(text, source)
    version = values.get("version", 2)
    if version not in _SECTIONS or _registry(values, version).get("config_path") != ours:
        return text
    was = tomltext.read(before or "", source)
    had = _registry(was, was.get("version", version)).get("config_path")
    made = _edited(text, version, had, source)
    left = dict(tomltext.read(made, source))
    if before is None and not set(left) - {"version"}:
        return None
    return made


def problem(text: str, registry: Mapping[str, Any], source: str) -> str:
    """Say why containerd would not load its CRI plugin with ``config_path``; empty: it would."""
    tls = [host for host, each in (registry.get("configs") or {}).items() if "tls" in each]
    wrong = "mirrors" if registry.get("mirrors") else "configs" if tls else ""
    if not wrong:
        return ""
    line = tomltext.line_of(text, rf"registry[\"']?\.[\"']?{wrong}|^\s*{wrong}\s*[=.]|\b{wrong}\b")
    hosts = ", ".join(list(registry["mirrors"]) if wrong == "mirrors" else tls)
    what = "mirrors" if wrong == "mirrors" else "configs with tls"
    return (
        f"{source}:{line}: containerd does not take registry.{what} ({hosts}) together with "
        "config_path: move each of them to its own certs.d/<host>/hosts.toml and remove the lines"
    )


def registry_of(text: str, source: str) -> Mapping[str, Any]:
    """Give the registry section, whatever the version; empty where there is none.

    :raises ConfigError: the file is not TOML.
    """
    values = tomltext.read(text, source)
    return _registry(values, values.get("version", 2))


def without_cri(values: Mapping[str, Any]) -> bool:
    """Whether the CRI plugin is disabled."""
    names = {str(name) for name in values.get("disabled_plugins") or ()}
    return bool(names & {"cri", *_SECTIONS.values()})


def _version(values: Mapping[str, Any], source: str) -> int:
    version = values.get("version", 1)
    if version not in _SECTIONS and not (isinstance(version, int) and version > 3):
        raise ConfigError(
            f"{source}: version {version!r} of the file is not supported, only 2 and 3: "
            "'containerd config migrate' (containerd 2) prints it in the newest one"
        )
    return min(int(version), 3)


def _registry(values: Mapping[str, Any], version: object) -> Mapping[str, Any]:
    section = _SECTIONS[2] if version == 2 else _SECTIONS[3]
    return tomltext.table(values, "plugins", section, "registry")


def _fresh(version: int, directory: str = CERTS_D, head: str = "") -> str:
    line = f'[plugins."{_SECTIONS[version]}".registry]'
    return f'{head}{line}\n  config_path = "{directory}"\n'


def _with_path(text: str, version: int, directory: str, source: str) -> str:
    if not _registry_there(tomltext.read(text, source), version):
        gap = "\n" if text.endswith("\n") else "\n\n"
        made = text + gap + _fresh(version, directory)
        try:
            if _registry(tomltext.read(made, source), version).get("config_path") == directory:
                return made
        except ConfigError:
            pass  # its tables are written inline: tomlkit puts it where it belongs
    return _edited(text, version, directory, source)


def _edited(text: str, version: int, directory: str | None, source: str) -> str:
    """Change the key where it stands; comments and order stay.

    :raises ConfigError: what came out does not say the same otherwise.
    """
    wanted = _put(tomltext.read(text, source), version, directory)
    try:
        made = tomlkit.dumps(_put(tomltext.document(text, source), version, directory))
        if tomltext.read(made, source) == wanted:
            return made
    except (TOMLKitError, ValueError, KeyError):
        pass
    section = f'[plugins."{_SECTIONS[version]}".registry]'
    raise ConfigError(f"{source}: its tables are too entangled: edit config_path in {section}")


def _registry_there(values: Mapping[str, Any], version: int) -> bool:
    return "registry" in tomltext.table(values, "plugins", _SECTIONS[version])


def _empty_in(table: Any) -> Any:
    if isinstance(table, InlineTable):
        return tomlkit.inline_table()
    return tomlkit.table() if isinstance(table, (tomlkit.TOMLDocument, AbstractTable)) else {}


def _put(document: _Tables, version: int, directory: str | None) -> _Tables:
    """Set the key, or with ``None`` remove it, and the tables that only it was in."""
    tables: list[Any] = [document]
    names = ("plugins", _SECTIONS[version], "registry")
    for name in names:
        if name not in tables[-1]:
            tables[-1][name] = _empty_in(tables[-1])
        tables.append(tables[-1][name])
    if directory is not None:
        tables[-1]["config_path"] = directory
        return document
    del tables[-1]["config_path"]
    for holder, name in zip(reversed(tables[:-1]), reversed(names), strict=True):
        if not len(holder[name]):
            del holder[name]
    return document
