"""An origin with bad manners, as a program: ``odd_origin.py DIRECTORY PORT_FILE``.

The first part of a path says how the file that the rest names is sent; ``v2/`` before it is
what makes it a registry with a few odd blobs.

``chunked``
    in chunks, without a length;
``closing``
    without a length, ended by closing the connection;
``short``
    half of what was announced, then the connection is closed;
``long``
    more than was announced;
``cut``
    properly, with ranges and a strong entity tag, but no transfer is longer than a quarter;
``stuck``
    like ``cut``, but nothing of the second half ever comes;
``fleeting``
    cut after a quarter; every request meets another version, as the entity tag says;
``bad-range``
    answers every range with another one than was asked for.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

_CHUNK = 16 * 1024


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    directory: Path
    versions = itertools.count(1)

    def do_HEAD(self) -> None:
        self._answer(head=True)

    def do_GET(self) -> None:
        self._answer(head=False)

    def _answer(self, *, head: bool) -> None:
        path = unquote(self.path).strip("/").removeprefix("v2/")
        manner, _, name = path.partition("/")
        ways: dict[str, Callable[[bytes, bool], None]] = {
            "chunked": self._chunked,
            "closing": self._closing,
            "short": self._short,
            "long": self._long,
            "cut": self._cut,
            "stuck": self._stuck,
            "fleeting": self._fleeting,
            "bad-range": self._bad_range,
        }
        file = self.directory / name
        if manner not in ways or not file.is_file():
            self.send_error(404)
            return
        ways[manner](file.read_bytes(), head)

    def _chunked(self, data: bytes, head: bool) -> None:
        self._headers(200, ("Transfer-Encoding", "chunked"))
        if head:
            return
        for begin in range(0, len(data), _CHUNK):
            part = data[begin : begin + _CHUNK]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def _closing(self, data: bytes, head: bool) -> None:
        self._headers(200, ("Connection", "close"))
        self._body(data, head)

    def _short(self, data: bytes, head: bool) -> None:
        self._headers(200, ("Content-Length", str(len(data))), ("Connection", "close"))
        self._body(data[: len(data) // 2], head)

    def _long(self, data: bytes, head: bool) -> None:
        self._headers(200, ("Content-Length", str(len(data))), ("Connection", "close"))
        self._body(data + b"and more", head)

    def _cut(self, data: bytes, head: bool) -> None:
        start = self._start(data, '"one"')
        end = min(start + len(data) // 4 + 1, len(data))
        self._ranged(data, start, '"one"')
        self._body(data[start:end], head)

    def _stuck(self, data: bytes, head: bool) -> None:
        start = self._start(data, '"one"')
        self._ranged(data, start, '"one"')
        self._body(data[start : len(data) // 2], head)

    def _fleeting(self, data: bytes, head: bool) -> None:
        tag = f'"version-{next(self.versions)}"'
        start = self._start(data, tag)
        self._ranged(data, start, tag)
        self._body(data[start : start + len(data) // 4], head)

    def _bad_range(self, data: bytes, head: bool) -> None:
        if "Range" not in self.headers:
            self._ranged(data, 0, '"one"')
            self._body(data[: len(data) // 2], head)
            return
        self._ranged(data, 1, '"one"')
        self._body(data[1:], head)

    def _start(self, data: bytes, tag: str) -> int:
        """Where the wanted range begins; ranges are only asked for as ``bytes=N-`` here."""
        wanted = self.headers.get("Range", "")
        if self.headers.get("If-Range", tag) != tag or not wanted.startswith("bytes="):
            return 0
        first = wanted.removeprefix("bytes=").partition("-")[0]
        return min(int(first), len(data)) if first.isdigit() else 0

    def _ranged(self, data: bytes, start: int, tag: str) -> None:
        length = ("Content-Length", str(len(data) - start))
        common = (length, ("ETag", tag), ("Accept-Ranges", "bytes"), ("Connection", "close"))
        if not start:
            self._headers(200, *common)
            return
        self._headers(206, ("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}"), *common)

    def _headers(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _body(self, data: bytes, head: bool) -> None:
        self.close_connection = True
        if not head:
            self.wfile.write(data)


def main(directory: str, port_file: str) -> None:
    """Serve until killed; the port's number goes to ``port_file``."""
    _Request.directory = Path(directory)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Request) as server:
        temporary = Path(f"{port_file}.new")
        temporary.write_text(str(server.server_port))
        temporary.rename(port_file)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
