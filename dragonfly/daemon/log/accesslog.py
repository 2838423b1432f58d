"""One line and a few numbers for each request."""

from __future__ import annotations

from twisted.logger import Logger

from dragonfly.daemon.log.note import Note
from dragonfly.metrics import DaemonMetrics

__all__ = ["TEXT_CHARS", "AccessLog", "line_of", "reason_of"]

_log = Logger("dragonfly.access")

TEXT_CHARS = 512
"""A target or reason is cut there: a line is for people."""


_REASONS = (
    ("the registry's check", "registry"),
    ("not shared", "not_shared"),
    ("conditional", "request"),
    ("on behalf of a swarm", "request"),
    ("path names no", "request"),
    ("leaves the swarm", "stopping"),
    ("supernode", "supernode"),
    ("bytes wanted", "disk"),
    ("nothing came", "silence"),
    ("swarm has not come to", "cold"),
    ("digest", "digest"),
    ("sha256:", "digest"),
)
"""What a sentence is about, by its first match: labels of metrics must be few."""


class AccessLog:
    """Told of each request when it is over.

    :param metrics: counts it, too.
    """

    def __init__(self, metrics: DaemonMetrics) -> None:
        self._metrics = metrics

    def __call__(self, note: Note) -> None:
        """Write and count one request."""
        _log.info("{line}", line=line_of(note))
        self._count(note)

    def _count(self, note: Note) -> None:
        metrics, route = self._metrics, note.route
        metrics.requests.labels(_class(note.status), route).inc()
        if note.trial:
            metrics.trials.inc()
        metrics.endings.labels(note.ending).inc()
        metrics.seconds.labels(route).observe(note.seconds)
        for source, count in note.sources.items():
            if count:
                metrics.bytes.labels(source).inc(count)
        if _fell_back(note):
            metrics.fallbacks.labels(reason_of(note.why)).inc()


def _fell_back(note: Note) -> bool:
    """Whether the registry answered for the swarm; that it refused or failed is another story."""
    answered = 200 <= note.status < 400 and note.ending == "done"
    return bool(note.why) and (note.route == "swarm" or answered)


def line_of(note: Note) -> str:
    """The line of a request: fields in an order that stays, nothing that was not asked for."""
    request = f"{_plain(note.method)} {_plain(note.target.partition('?')[0])}"
    parts = [f"{request} {note.status} {note.sent} B in {note.seconds:.3f} s"]
    parts.append(" ".join(["from", *(f"{name}={n}" for name, n in note.sources.items())]))
    if note.uploaded:
        parts.append(f"uploaded={note.uploaded}")
    parts.append(f"route={note.route}")
    said = {"task": note.task, "client": note.client, "registry": note.registry, "mode": note.mode}
    for name, value in said.items():
        if value:
            parts.append(f"{name}={_plain(value)}")
    parts.append(f"ending={note.ending}")
    if note.why:
        parts.append('why="' + _plain(note.why, spaces=True).replace('"', "'") + '"')
    return " ".join(parts)


def reason_of(why: str) -> str:
    """The label for a reason: one of few words."""
    return next((label for words, label in _REASONS if words in why), "other")


def _plain(text: str, *, spaces: bool = False) -> str:
    """Text that cannot break a line or a field: what is not printable ASCII is escaped."""
    cut = text if len(text) <= TEXT_CHARS else text[:TEXT_CHARS] + "..."
    return "".join(c if "!" <= c <= "~" or (spaces and c == " ") else _escaped(c) for c in cut)


def _escaped(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def _class(status: int) -> str:
    return f"{status // 100}xx" if 100 <= status <= 599 else "none"
