"""A server that programs send to, as a program: ``intake.py SETTINGS READY_FILE``.

It speaks HTTP and HTTPS, reads bodies as they come, and is

a registry of npm
    ``PUT /name`` with the package inside; ``GET /name`` describes it;
repositories of git
    by ``git http-backend``; one that nobody has seen is made;
a store of git-lfs
    the batch API of each repository, and ``PUT`` of objects;
a place for files
    ``PUT /files/name``, for everybody.

Only members may send anything else.  What arrived lies where a web server has it, so that
downloads come from there.  Below ``/refuse-413-1000000/`` bodies are refused with that status
when so many bytes of them were read, and below ``/refuse-401-...`` only those of no members.

SETTINGS is JSON: ``http`` and ``https`` (address and port), ``certificate`` (one PEM file),
``root`` (of the web server), ``urls`` (its own, by scheme), ``user``, ``password``, ``log``.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.e2e.rig.receiver import Receiver, Refused

_GIT = re.compile(r"(/[^/]+\.git)(/info/refs|/git-(?:upload|receive)-pack)")
_BATCH = re.compile(r"/[^/]+\.git/info/lfs/objects/batch")
_LFS = "application/vnd.git-lfs+json"


class Handler(Receiver):
    """One connection."""

    scheme = "http"

    def do_GET(self) -> None:
        """Describe a package, give a file, or ask git."""
        git = _GIT.fullmatch(self.target)
        if git is not None:
            self._git(git[1] + git[2], git[1])
            return
        kind, _, name = self.target[1:].rpartition("/")
        file = "npm/{}/described.json" if not kind else "files/{}"
        if (self.root / file.format(name)).is_file():
            self.answer(200, (self.root / file.format(name)).read_bytes())
        else:
            self.answer(404, b"{}")

    def do_PUT(self) -> None:
        """Take a file, an object or a package."""
        kind, _, name = self.target[1:].rpartition("/")
        try:
            body = self.spooled()
        except Refused as refused:
            self.refuse(int(str(refused)))
            return
        if kind == "files":
            self.keep(body, self.root / "files" / name)
        elif not self.member:
            self.ask_who()
        elif kind == "lfs":
            self._object(body, name)
        else:
            self._package(body, name)

    def do_POST(self) -> None:
        """Answer git and git-lfs."""
        git = _GIT.fullmatch(self.target)
        if git is not None:
            self._git(git[1] + git[2], git[1])
        elif _BATCH.fullmatch(self.target):
            self._batch(json.loads(self.spooled().read_bytes()))
        else:
            self.spooled()
            self.answer(404, b"{}")

    # -- what it is ---------------------------------------------------------------------

    def _object(self, body: Path, oid: str) -> None:
        if hashlib.sha256(body.read_bytes()).hexdigest() != oid:
            self.answer(400, b'{"message": "another object"}')
        else:
            self.keep(body, self.root / "lfs" / oid, 200)

    def _package(self, body: Path, name: str) -> None:
        told = json.loads(body.read_bytes())
        (file, attached), *_ = told.pop("_attachments").items()
        (version,) = told["versions"].values()
        data = base64.b64decode(attached["data"])
        digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
        if version["dist"]["integrity"] != f"sha512-{digest}":
            self.answer(400, b'{"error": "another package"}')
            return
        directory = self.root / "npm" / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / file).write_bytes(data)
        version["dist"]["tarball"] = f"{self.settings['urls'][self.scheme]}/npm/{name}/{file}"
        (directory / "described.json").write_text(json.dumps(told))
        self.answer(201, b'{"ok": true}')

    def _batch(self, asked: dict[str, Any]) -> None:
        if asked["operation"] == "upload" and not self.member:
            self.ask_who()
            return
        objects = [self._actions(one, asked["operation"]) for one in asked["objects"]]
        self.answer(200, json.dumps({"transfer": "basic", "objects": objects}).encode(), _LFS)

    def _actions(self, one: dict[str, Any], operation: str) -> dict[str, Any]:
        there = (self.root / "lfs" / one["oid"]).exists()
        if operation == "upload" and there:
            return one
        here = f"{self.scheme}://{self.headers['Host']}{self.prefix}"
        base = here if operation == "upload" else self.settings["urls"][self.scheme]
        return {**one, "actions": {operation: {"href": f"{base}/lfs/{one['oid']}"}}}

    def _git(self, path: str, repository: str) -> None:
        """Ask git, as a web server does by CGI."""
        writes = "git-receive-pack" in self.path
        body = self.spooled()
        if writes and not self.member:
            self.ask_who()
            return
        projects = self.root / "git"
        if writes and not (projects / repository[1:]).exists():
            command = ["git", "init", "--quiet", "--bare", str(projects / repository[1:])]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        with body.open("rb") as source:
            done = subprocess.run(
                ["git", "http-backend"],
                stdin=source,
                capture_output=True,
                env={**os.environ, **self._cgi(path, projects, body)},
                check=True,
            )
        head, _, text = done.stdout.partition(b"\r\n\r\n")
        told = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(told.get("Status", "200").split()[0])
        self.answer(status, text, told["Content-Type"])

    def _cgi(self, path: str, projects: Path, body: Path) -> dict[str, str]:
        return {
            "GIT_PROJECT_ROOT": str(projects),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(body.stat().st_size),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": self.path.partition("?")[2],
            "REMOTE_USER": self.settings["user"],
        }


def _serve(settings: dict[str, Any], scheme: str, log: Any) -> None:
    served = type("_Handler", (Handler,), {"settings": settings, "scheme": scheme, "log": log})
    server = http.server.ThreadingHTTPServer(tuple(settings[scheme]), served)
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["certificate"])
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    threading.Thread(target=server.serve_forever).start()


def _main(path: str, ready: str) -> None:
    settings = json.loads(Path(path).read_text())
    log = Path(settings["log"]).open("a")  # noqa: SIM115 (as long as the program)
    for scheme in ("http", "https"):
        _serve(settings, scheme, log)
    Path(ready).touch()


if __name__ == "__main__":
    _main(*sys.argv[1:])
