"""``doc/compatibility.rst``: what the full run found."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from tests.e2e.rig.cells import CLIENTS, DOWNLOADS, MODES, Cell
from tests.e2e.rig.replayed import REPLAYED
from tests.e2e.rig.sites import PLACES, SITES

__all__ = ["Results", "page", "write"]

_INTRODUCTION = """\
Compatibility
=============

Made by ``tox -e compat`` on {date}; do not edit it.
Real programs pull images through dfdaemon from the reference registry (docker-registry {registry}).
Each pull is of an image that nobody has seen.
It is right when the client has exactly what the registry has, by digest.

``swarm``
    the layers came by the swarm, as dfdaemon's access log says;
``tunnel``
    the connection went through dfdaemon, which did not see what was in it;
``-``
    the client has no such mode, or nobody could serve it; the reason is below the table.

.. contents::
   :local:
   :depth: 1
"""

_ABOUT = {
    "mirror": """\
docker has mirrors for images of Docker Hub only, for which each registry stands here.
BuildKit says so (``?ns=docker.io``), and the others do not: a rule in ``proxies`` redirects it.

""",
    "proxy": """\
Layers from an HTTPS registry come from the registry, unless it redirects them to plain HTTP.

""",
}

_ABOUT_SLOW = """\
While 60 MiB and more are sent, the server stops reading until nothing moves any more: the memory
of dfdaemon does not grow by more than 8 MiB then, and it writes nothing but its log.

"""

_GOOD = ("all arrive", "arrives", "as without dfdaemon", "swarm", "tunnel")


@attrs.define(eq=False)
class Results:
    """What came of everything.

    :ivar cells: pulls.
    :ivar kinds: by kind of image, and client.
    :ivar downloads: by program, and mode; ``uploads``, and ``slow`` ones, likewise.
    :ivar pushes: and MiB of the layer.
    :ivar refusals: by program, and what it was told.
    :ivar crowds: by who pulled at once, and mode.
    """

    cells: dict[Cell, str] = attrs.field(factory=dict)
    kinds: dict[tuple[str, str], str] = attrs.field(factory=dict)
    downloads: dict[tuple[str, str], str] = attrs.field(factory=dict)
    pushes: dict[tuple[Cell, int], str] = attrs.field(factory=dict)
    uploads: dict[tuple[str, str], str] = attrs.field(factory=dict)
    slow: dict[tuple[str, str], str] = attrs.field(factory=dict)
    refusals: dict[tuple[str, str], str] = attrs.field(factory=dict)
    crowds: dict[tuple[str, str], str] = attrs.field(factory=dict)
    versions: dict[str, str] = attrs.field(factory=dict)


def page(results: Results, registry: str, today: datetime.date) -> str:
    """The whole text."""
    parts = [_INTRODUCTION.format(date=today.isoformat(), registry=registry), _clients(results)]
    parts += [_mode(results, name) for name in MODES]
    parts += [_kinds(results.kinds), _crowds(results), _pushes(results), _downloads(results)]
    parts += [_uploads(results), _refusals(results.refusals), _replayed()]
    return "\n".join(parts)


def write(results: Results, path: Path) -> None:
    """Write it."""
    command = ["docker-registry", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    registry = done.stdout.split()[-1].split("+")[0]
    path.write_text(page(results, registry, datetime.datetime.now(datetime.timezone.utc).date()))


def _clients(results: Results) -> str:
    first = [name for name in CLIENTS if name in results.versions]
    rows = [(name, results.versions[name]) for name in dict.fromkeys([*first, *results.versions])]
    about = "CRI is containerd's, called over gRPC as crictl does, which Debian does not have.\n\n"
    return _headed("Clients", about + _table(("client", "version"), rows))


def _mode(results: Results, mode: str) -> str:
    notes: list[str] = []
    rows = [
        (client, *(_said(results, Cell(client, site, mode), notes) for site in SITES))
        for client in CLIENTS
    ]
    table = _table(("client", *(site.title for site in SITES.values())), rows)
    return _headed(MODES[mode], _ABOUT.get(mode, "") + table + _listed(notes))


def _said(results: Results, cell: Cell, notes: list[str]) -> str:
    if cell.impossible:
        notes += [note for note in [f"{cell.client} {cell.impossible}."] if note not in notes]
        return "\\-"
    what = f"{cell.client}, {SITES[cell.site].title}"
    return _short(results.cells.get(cell), notes, what)


def _kinds(kinds: Mapping[tuple[str, str], str]) -> str:
    names = list(dict.fromkeys(kind for kind, _client in kinds))
    clients = [name for name in CLIENTS if any(client == name for _kind, client in kinds)]
    notes: list[str] = []
    rows = []
    for kind in names:
        row = [kind]
        for client in clients:
            text = kinds.get((kind, client), "not run")
            short = text in ("swarm", "not run")
            row.append(text if short else "\\-")
            if not short:
                _note(notes, f"{kind}, {client}: {text}.")
        rows.append(tuple(row))
    table = _table(("image", *clients), rows) if rows else "Not run.\n"
    return _headed("Kinds of images", table + _listed(notes))


def _crowds(results: Results) -> str:
    """Pulls at the same time, of a few images."""
    text = "Pulls of four images through one dfdaemon at the same time.\n\n"
    return _headed("Many at once", text + _by_mode("clients", results.crowds, MODES))


def _pushes(results: Results) -> str:
    """By engines."""
    notes: list[str] = []
    rows = [
        (
            cell.client,
            PLACES[cell.site].title,
            MODES[cell.mode],
            f"{size} MiB",
            _short(text, notes, str(cell)),
        )
        for (cell, size), text in results.pushes.items()
    ]
    head = ("client", "registry", "mode", "layer", "image")
    table = _table(head, rows) if rows else "Not run.\n"
    return _headed("Pushes", _ABOUT_SLOW + table + _listed(notes))


def _downloads(results: Results) -> str:
    """By programs that are no engines, with a rule in ``proxies`` for what they get."""
    return _headed("Other downloads", _by_mode("client", results.downloads, DOWNLOADS))


def _uploads(results: Results) -> str:
    """By programs that are no engines."""
    every = {**results.uploads, **results.slow}
    return _headed("Other uploads", _ABOUT_SLOW + _by_mode("client", every, DOWNLOADS))


def _refusals(refusals: Mapping[tuple[str, str], str]) -> str:
    """What a client hears of the server's mind."""
    notes: list[str] = []
    rows = [
        (client, what, _short(text, notes, f"{client}, {what}"))
        for (client, what), text in refusals.items()
    ]
    text = "What the client says and does then, beside what it says and does without dfdaemon.\n\n"
    table = _table(("client", "answer", "client's behaviour"), rows) if rows else "Not run.\n"
    return _headed("Uploads that are refused", text + table + _listed(notes))


def _by_mode(what: str, results: Mapping[tuple[str, str], str], modes: Iterable[str]) -> str:
    """A row for each first part of the keys, a column for each mode."""
    notes: list[str] = []
    shown = [mode for mode in modes if any(mode == one for _name, one in results)]
    rows = [
        (name, *(_short(results.get((name, mode)), notes, name) for mode in shown))
        for name in dict.fromkeys(name for name, _mode in results)
    ]
    table = _table((what, *(MODES[mode] for mode in shown)), rows) if rows else "Not run.\n"
    return table + _listed(notes)


def _short(text: str | None, notes: list[str], what: str) -> str:
    """What a table has of a result; the rest goes below it."""
    if text is None:
        return "not run"
    if text in _GOOD:
        return text
    _note(notes, f"{what}: {text}")
    return "**fails**"


def _replayed() -> str:
    before = (
        "Programs that cannot be installed where the tests run, or that come in versions newer\n"
        "than those above. Their requests were taken from their sources and are replayed, so\n"
        "nothing here says that the program itself was run.\n\n"
    )
    rows = [(entry.client, entry.what, f"``{entry.test}``") for entry in REPLAYED]
    table = _table(("client", "what is replayed", "test"), rows) if rows else "None yet.\n"
    return _headed("Replayed only", before + table)


def _note(notes: list[str], text: str) -> None:
    plain = " ".join(text.split()).replace("\\", "/").replace("`", "'").replace("*", "")
    if plain not in notes:
        notes.append(plain)


def _listed(notes: Iterable[str]) -> str:
    return "".join(f"\n* {note}" for note in notes) + "\n" if notes else ""


def _headed(title: str, text: str) -> str:
    return f"{title}\n{'-' * len(title)}\n\n{text}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        lines += [f"   {'*' if not number else ' '} - {cell}" for number, cell in enumerate(row)]
    return "\n".join(lines) + "\n"
