"""One connection of a server that reads bodies as they come, and may refuse them on the way."""

from __future__ import annotations

import base64
import http.server
import itertools
import json
import re
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

__all__ = ["Receiver", "Refused"]

_REFUSE = re.compile(r"/refuse-(\d+)-(\d+)(?=/)")
_BLOCK = 64 * 1024
_LINGER_S = 5.0


class Refused(Exception):
    """The body is read no further; the text is the status to answer with."""


class Receiver(http.server.BaseHTTPRequestHandler):
    """What :mod:`intake` says of refusals and members is done here.

    :cvar settings: those of the program.
    :cvar log: an open file that gets a line of JSON for each request.
    """

    protocol_version = "HTTP/1.1"
    settings: dict[str, Any]
    log: Any
    _numbers = itertools.count(1)
    _taken = 0

    def handle_one_request(self) -> None:
        """Whoever leaves in the middle is nobody's fault."""
        self._taken = 0
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True
            if self._taken:
                self.log_request(0)

    def handle_expect_100(self) -> bool:
        """Say no before the body, if nothing of it is wanted."""
        refusal = self._refusal()
        if refusal is not None and refusal[1] == 0:
            self.refuse(refusal[0])
            return False
        return super().handle_expect_100()

    # -- the request ----------------------------------------------------------------------

    @property
    def root(self) -> Path:
        """Of the web server."""
        return Path(self.settings["root"])

    @property
    def target(self) -> str:
        """The path without what it says of refusals."""
        return _REFUSE.sub("", self.path.partition("?")[0])

    @property
    def prefix(self) -> str:
        """What it says of them."""
        found = _REFUSE.match(self.path)
        return found[0] if found else ""

    @property
    def member(self) -> bool:
        """Basic credentials, or the token that npm has."""
        word = f"{self.settings['user']}:{self.settings['password']}"
        known = (f"Basic {base64.b64encode(word.encode()).decode()}", f"Bearer {word}")
        return self.headers.get("Authorization", "") in known

    def _refusal(self) -> tuple[int, int] | None:
        """Status, and how much is read before."""
        found = _REFUSE.match(self.path)
        if found is None or self.command != "PUT" or (found[1] == "401" and self.member):
            return None
        return int(found[1]), int(found[2])

    def spooled(self) -> Path:
        """Read the body into a file."""
        refusal = self._refusal()
        new = self.root / "incoming" / str(next(self._numbers))
        new.parent.mkdir(exist_ok=True)
        with new.open("wb") as out:
            for part in self._parts():
                self._taken += len(part)
                if refusal is not None and self._taken >= refusal[1]:
                    raise Refused(refusal[0])
                out.write(part)
        return new

    def _parts(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield from self._exactly(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield from self._exactly(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _exactly(self, count: int) -> Iterator[bytes]:
        reader: Any = self.rfile
        while count:
            part = reader.read1(min(count, _BLOCK))
            if not part:
                raise ConnectionError("the body is incomplete")
            count -= len(part)
            yield part

    # -- the answer -----------------------------------------------------------------------

    def keep(self, body: Path, target: Path, status: int = 201) -> None:
        """Put a body where it belongs."""
        target.parent.mkdir(parents=True, exist_ok=True)
        body.rename(target)
        self.answer(status, b"")

    def ask_who(self) -> None:
        """Say that members only may do that."""
        self.answer(401, b'{"message": "who are you?"}')

    def refuse(self, status: int) -> None:
        """Answer now; as servers do, read a while so that the client gets to see it."""
        self.close_connection = True
        self.answer(status, b'{"message": "enough", "error": "enough"}')
        self.connection.settimeout(_LINGER_S)
        try:
            if not isinstance(self.connection, ssl.SSLSocket):
                self.connection.shutdown(socket.SHUT_WR)
            while self.connection.recv(_BLOCK):
                pass
        except OSError:
            pass

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        """Answer with a body of that type."""
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="members"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """One line of JSON for each."""
        entry = {
            "method": self.command,
            "path": self.path,
            "status": code.value if isinstance(code, HTTPStatus) else code,
            "taken": self._taken,
            "chunked": "Transfer-Encoding" in self.headers,
            "expects": "Expect" in self.headers,
        }
        self.log.write(json.dumps(entry) + "\n")
        self.log.flush()
