"""The dfdaemon that runs here, as its status port tells of it."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from prometheus_client.parser import text_string_to_metric_families

from dragonfly import __version__
from dragonfly.config import DaemonConfig
from dragonfly.daemon.place import PORTS_FILE
from dragonfly.errors import OriginUnreachable
from dragonfly.metrics import DaemonMetrics
from dragonfly.setup.finding import Finding, fail, ok, warn
from dragonfly.setup.plan import reached
from dragonfly.setup.web import get

__all__ = ["Running", "check_ports", "find_running", "home_of"]


@attrs.frozen(kw_only=True)
class Running:
    """A dfdaemon that answers.

    :ivar url: of its status port.
    :ivar ports: ``front``, ``pieces`` and ``status``.
    """

    url: str
    version: str
    registry: str
    supernodes: tuple[str, ...]
    ports: Mapping[str, int]

    def counters(self, name: str, label: str = "") -> dict[str, float]:
        """Give a counter's values by one of its labels, summed over the others.

        :raises OriginUnreachable: it does not answer any more, or with something else.
        """
        found: dict[str, float] = {}
        text = get(f"{self.url}/metrics").body.decode("utf-8", "replace")
        try:
            families = list(text_string_to_metric_families(text))
        except ValueError as error:
            raise OriginUnreachable(f"{self.url}/metrics: {error}") from None
        for sample in (sample for family in families for sample in family.samples):
            if sample.name == f"{DaemonMetrics.prefix}_{name}":
                key = sample.labels.get(label, "")
                found[key] = found.get(key, 0.0) + sample.value
        return found


def home_of(config: DaemonConfig) -> Path:
    """Give the home of dfdaemon's peer; a ``~`` that nobody knows stays."""
    try:
        return Path(config.work_home).expanduser()
    except RuntimeError:
        return Path(config.work_home)


def find_running(config: DaemonConfig) -> tuple[Running | None, Finding]:
    """Ask the status port: that of the file in the home, else of the configuration."""
    told = _told(home_of(config))
    port = told.get("status", config.status_port)
    url = f"http://{reached(config.status_address, port)}"
    try:
        reply = get(f"{url}/healthy")
        state = json.loads(reply.body)
        running = _running(url, state)
    except OriginUnreachable as error:
        remedy = "start it: dfdaemon, or systemctl start dfdaemon"
        return None, fail("dfdaemon", f"does not answer at its status port: {error}", remedy)
    except (ValueError, TypeError, KeyError, AttributeError):
        text = f"another program answers at its status port {port}"
        return None, fail("dfdaemon", text, "change statusPort, or end that program")
    if not state.get("ok"):
        text = f"says at {url}/healthy that it is not well ({reply.status})"
        return running, fail("dfdaemon", text, "look into its log")
    if running.version != __version__:
        text = f"runs with version {running.version}, here is {__version__}"
        return running, warn("dfdaemon", text, "restart it")
    text = f"runs, version {running.version}, registry {running.registry}"
    return running, ok("dfdaemon", text)


def check_ports(config: DaemonConfig, running: Running | None) -> Iterator[Finding]:
    """Whether each port is ours, or free for us."""
    wanted = {
        "mirror": (config.host_ip, config.port, "front", "port"),
        "pieces": ("0.0.0.0", config.peer_port, "pieces", "peerPort"),
        "status": (config.status_address, config.status_port, "status", "statusPort"),
    }
    for name, (address, port, key, option) in wanted.items():
        what = f"port of {name}"
        if running is not None:
            yield _ours(what, port, running.ports.get(key, 0), option)
        elif port:
            yield _free(what, address, port, option)


def _ours(what: str, port: int, real: int, option: str) -> Finding:
    if port in (0, real):
        return ok(what, f"{real} is dfdaemon's")
    text = f"dfdaemon has {real}, and its configuration says {port}"
    return warn(what, text, f"restart it, or name the file by --config ({option})")


def _free(what: str, address: str, port: int, option: str) -> Finding:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            text = f"{port} is taken by another program" if taken else f"{port}: {error.strerror}"
            return fail(what, text, f"end it (ss -ltnp), or change {option}")
    return ok(what, f"{port} is free")


def _told(home: Path) -> dict[str, int]:
    try:
        found = json.loads((home / PORTS_FILE).read_bytes())
        return {str(key): int(value) for key, value in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _running(url: str, state: Mapping[str, Any]) -> Running:
    return Running(
        url=url,
        version=str(state["version"]),
        registry=str(state["registry"]),
        supernodes=tuple(str(node) for node in state["supernodes"]),
        ports={str(key): int(port) for key, port in state["ports"].items()},
    )
