"""A file server that counts what it sends: the demo's origin.

``python fileserver.py FILE`` serves one file under its name on a free port of loopback, with
ranges and a strong entity tag, and says the port in its first line. ``/sent`` tells how many
bytes of the file went out, and in how many answers.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 256 * 1024
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Counted(ThreadingHTTPServer):
    """Serves one file to many at once."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: str) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.path = path
        self.size = os.path.getsize(path)
        self.sent = 0
        self.answers = 0
        self._lock = threading.Lock()

    def count(self, sent: int, *, answers: int = 0) -> None:
        """Add to what went out."""
        with self._lock:
            self.sent += sent
            self.answers += answers


class Answer(BaseHTTPRequestHandler):
    """One connection."""

    server: Counted
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: the counts tell it all."""

    def do_HEAD(self) -> None:
        """Headers only."""
        self._head()

    def do_GET(self) -> None:
        """The file, a range of it, or the counts."""
        if self.path == "/sent":
            self._counts()
            return
        begin, end = self._head()
        self.server.count(0, answers=1)
        with open(self.server.path, "rb") as file:
            file.seek(begin)
            while begin < end:
                data = file.read(min(BLOCK, end - begin))
                self.wfile.write(data)
                self.server.count(len(data))
                begin += len(data)

    def _head(self) -> tuple[int, int]:
        """Send the headers; give what of the file is to follow."""
        size, tag = self.server.size, f'"{self.server.size:x}"'
        if self.path != "/" + os.path.basename(self.server.path):
            self.send_error(HTTPStatus.NOT_FOUND)
            return 0, 0
        asked = RANGE.fullmatch(self.headers.get("Range", ""))
        if asked is None or self.headers.get("If-Range", tag) != tag:
            begin, end = 0, size
            self.send_response(HTTPStatus.OK)
        else:
            begin = int(asked[1])
            end = min(int(asked[2]) + 1, size) if asked[2] else size
            if begin >= end:
                self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                return 0, 0
            self.send_response(HTTPStatus.PARTIAL_CONTENT)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        self.send_header("ETag", tag)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        return begin, end

    def _counts(self) -> None:
        body = json.dumps({"sent": self.server.sent, "answers": self.server.answers}).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until killed."""
    server = Counted(sys.argv[1])
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
