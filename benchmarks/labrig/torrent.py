"""libtorrent, as well tuned as we know: a seed where our CDN is, an agent on each host."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from labrig.adapter import Lab, start_all
from labrig.dials import DIALS, draw_dials
from labrig.net import CDN, CDN_ADDRESS
from labrig.process import Process, end_all
from labrig.talk import SocketTalk, ask

__all__ = ["PIECE_BYTES", "PYTHON", "SETTINGS", "Torrent", "missing"]

PYTHON = os.environ.get("LAB_TORRENT_PYTHON", "/usr/bin/python3")
"""The Python that has libtorrent."""

PIECE_BYTES = 256 * 1024
PORT = 6881
SETTINGS: Mapping[str, Any] = {
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "in_enc_policy": 2,
    "out_enc_policy": 2,
    "choking_algorithm": 0,  # fixed slots
    "unchoke_slots_limit": 8,
    "unchoke_interval": 2,
    "optimistic_unchoke_interval": 4,
    "num_optimistic_unchoke_slots": 1,
    "connection_speed": 500,
    "connections_limit": 400,
    "min_reconnect_time": 1,
    "max_failcount": 20,
    "rate_limit_ip_overhead": False,
    "aio_threads": 1,
    "hashing_threads": 1,
    "listen_queue_size": 200,
}

_AGENT = str(Path(__file__).with_name("agents") / "torrent.py")


class Torrent:
    """A seed and agents.

    :param super_seeding: whether the seed shows pieces one by one.
    """

    def __init__(self, lab: Lab, *, super_seeding: bool) -> None:
        self._lab = lab
        self._role = "super" if super_seeding else "seed"
        self._torrent = lab.work / "content.torrent"
        self._processes: dict[str, Process] = {}

    def start(self) -> None:
        """Make the torrent file, start all."""
        lab = self._lab
        subprocess.run(
            [PYTHON, _AGENT, "make", str(lab.content), str(self._torrent), str(PIECE_BYTES)],
            check=True,
        )
        names = [CDN, *(host.name for host in lab.hosts)]
        started = start_all([partial(self._start_agent, name) for name in names])
        self._processes = dict(zip(names, started, strict=True))

    def _start_agent(self, name: str) -> Process:
        lab = self._lab
        directory = lab.content.parent if name == CDN else lab.work / name
        directory.mkdir(exist_ok=True)
        command = [PYTHON, _AGENT, "run", str(self._torrent), str(directory)]
        command += [str(self._socket(name)), json.dumps(dict(SETTINGS))]
        command += [self._role if name == CDN else "-"]
        return Process(lab.net.inside(name), command, lab.work / f"{name}.log", ready=True)

    def _socket(self, name: str) -> Path:
        return self._lab.work / f"{name}.sock"

    def talks(self) -> Mapping[str, SocketTalk]:
        """A ``get`` with a list of peers for each agent."""
        hosts = self._lab.hosts
        dials = draw_dials([host.address for host in hosts], random.Random(self._lab.seed))
        talks = {}
        for host in hosts:
            peers = [[address, PORT] for address in (CDN_ADDRESS, *dials[host.address])]
            talks[host.name] = SocketTalk(self._socket(host.name), {"op": "get", "peers": peers})
        return talks

    def processes(self) -> Mapping[str, Process]:
        """Seed and agents."""
        return self._processes

    def settings(self) -> Mapping[str, Any]:
        """All that was set."""
        return {
            **SETTINGS,
            "piece bytes": PIECE_BYTES,
            "super seeding": self._role == "super",
            "peers dialled by each": DIALS,
            "version": _version(),
        }

    def extra(self, name: str) -> Mapping[str, Any]:
        """The agent's own figures."""
        return ask(self._socket(name), {"op": "status"}, ("status",))

    def stop(self) -> None:
        """End all."""
        end_all([*self._processes.values()])


def _version() -> str:
    code = "import libtorrent; print(libtorrent.__version__)"
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def missing() -> str:
    """Why libtorrent cannot be run; empty if it can."""
    return "" if _version() else f"{PYTHON} has no libtorrent (Debian: python3-libtorrent)"
