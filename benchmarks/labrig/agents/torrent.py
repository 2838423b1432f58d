"""libtorrent on one host, spoken to as our peers are: lines of JSON over a Unix socket.

For the Python that has libtorrent (Debian's, as a rule); nothing of ours is imported.

    torrent.py make CONTENT TORRENT PIECE_BYTES
    torrent.py run TORRENT DIRECTORY SOCKET SETTINGS [seed | super] [--ready-fd N]

It listens before it says ``ready`` and knows no peers until it is asked:
``{"op": "get", "peers": [[address, port], ...]}`` is answered with events until ``done``.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from typing import Any

import libtorrent

PORT = 6881
POLL_MS = 100


def make(content: str, torrent: str, piece_bytes: str) -> None:
    """Write the torrent file of one file."""
    storage = libtorrent.file_storage()
    libtorrent.add_files(storage, content)
    flags = libtorrent.create_torrent.v1_only
    made = libtorrent.create_torrent(storage, int(piece_bytes), flags=flags)
    libtorrent.set_piece_hashes(made, os.path.dirname(content))
    with open(torrent, "wb") as out:
        out.write(libtorrent.bencode(made.generate()))


def listener(path: str) -> socket.socket:
    """The socket where the lab meets us."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen(4)
    return sock


class Agent:
    """A session with one torrent."""

    def __init__(self, torrent: str, directory: str, settings: dict[str, Any], role: str) -> None:
        self.session = libtorrent.session(
            {**settings, "listen_interfaces": f"0.0.0.0:{PORT}", "alert_mask": 0x40}
        )
        flags = libtorrent.torrent_flags
        params = libtorrent.add_torrent_params()
        params.ti = libtorrent.torrent_info(torrent)
        params.save_path = directory
        params.flags &= ~(flags.auto_managed | flags.paused)
        params.flags |= flags.disable_dht | flags.disable_lsd | flags.disable_pex
        if role:
            params.flags |= flags.seed_mode
        if role == "super":
            params.flags |= flags.super_seeding
        self.path = os.path.join(directory, params.ti.name())
        self.length = params.ti.total_size()
        self.handle = self.session.add_torrent(params)

    def get(self, client: socket.socket, peers: list[list[Any]]) -> None:
        """Connect, and tell how it goes until all is there."""
        for address, port in peers:
            self.handle.connect_peer((address, port))
        self.tell(client, "layout", path=self.path, length=self.length)
        while True:
            self.session.wait_for_alert(POLL_MS)
            self.session.pop_alerts()
            status = self.handle.status()
            if status.is_seeding:
                self.tell(client, "done", bytes={"peers": status.total_wanted_done})
                return
            self.tell(client, "ranges", bytes={"peers": status.total_wanted_done})

    def figures(self, client: socket.socket) -> None:
        """What it did."""
        status = self.handle.status()
        fields = ("num_peers", "all_time_upload", "total_redundant_bytes", "total_failed_bytes")
        self.tell(client, "status", **{name: getattr(status, name) for name in fields})

    def tell(self, client: socket.socket, event: str, **fields: Any) -> None:
        """One event."""
        line = json.dumps({"event": event, **fields}, separators=(",", ":"))
        client.sendall(line.encode() + b"\n")

    def serve(self, sock: socket.socket) -> None:
        """Answer one client after another."""
        while True:
            client, _ = sock.accept()
            with client, suppress(OSError):  # it hung up
                for line in client.makefile("rb"):
                    message = json.loads(line)
                    if message["op"] == "get":
                        self.get(client, message["peers"])
                    else:
                        self.figures(client)


def run(arguments: list[str]) -> None:
    """Start, say so, serve."""
    torrent, directory, path, settings, role, *rest = arguments
    agent = Agent(torrent, directory, json.loads(settings), role.strip("-"))
    sock = listener(path)
    if rest[:1] == ["--ready-fd"]:
        os.write(int(rest[1]), b"ready\n")
        os.close(int(rest[1]))
    agent.serve(sock)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        run(sys.argv[2:])
