"""A real nginx as origin, with a configuration, a port and logs of its own."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.e2e.rig.scene import Program, Scene

__all__ = ["Entry", "Nginx", "free_port"]

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_STARTS = 5

_CONFIG = """
daemon off;
{user}
worker_processes 1;
pid {work}/nginx.pid;
error_log {work}/nginx-error.log warn;
events {{ worker_connections 512; }}
http {{
    {temporary}
    log_format sent '$status $body_bytes_sent $request_method "$uri" "$http_range" $remote_user.';
    access_log {work}/access.log sent;
    default_type application/octet-stream;
    sendfile on;
    keepalive_timeout 30s;
    server {{
        listen 127.0.0.1:{port}{tls};
        {ipv6}
        {certificate}
        {rule}
        root {root};
        location /slow/ {{ alias {root}/; limit_rate {rate}; }}
        location /private/ {{
            alias {root}/;
            auth_basic "members";
            auth_basic_user_file {work}/htpasswd;
        }}
        location = /status/403 {{ return 403; }}
        location = /status/500 {{ return 500; }}
        location = /loop {{ return 302 /loop-back; }}
        location = /loop-back {{ return 302 /loop; }}
        location /moved/ {{ rewrite ^/moved/(.*)$ /$1 redirect; }}
    }}
}}
"""


@attrs.frozen
class Entry:
    """One line of the access log."""

    status: int
    body_bytes: int
    method: str
    path: str
    range: str
    user: str


_ENTRY = re.compile(r'(\d+) (\d+) (\S+) "(.*)" "(.*)" (\S*)\.')


class Nginx:
    """Serves ``files``; the same files slowly under ``/slow/``, for members under ``/private/``.

    :param rate: of each transfer from ``/slow/``, in nginx's notation.
    :param users: name to password, for ``/private/``.
    :param certificate: key and certificate in one PEM file; with it everything is HTTPS.
    :param files: what to serve; ``None``: a directory of its own.
    :param rule: a directive for everything that is served.
    """

    def __init__(
        self,
        scene: Scene,
        name: str = "nginx",
        *,
        rate: str = "10m",
        users: dict[str, str] | None = None,
        ipv6: bool = False,
        certificate: Path | None = None,
        files: Path | None = None,
        rule: str = "",
    ) -> None:
        if shutil.which("nginx") is None:
            pytest.skip("nginx is not installed: see tests/e2e/install-tools.sh")
        self._scene = scene
        self._name = name
        self._rule = rule
        self._rate = rate
        self._ipv6 = ipv6
        self._certificate = certificate
        self._work = scene.directory(name)
        self.files = files or scene.directory("files")
        self.port = 0
        lines = [f"{name}:{{PLAIN}}{word}\n" for name, word in (users or {}).items()]
        (self._work / "htpasswd").write_text("".join(lines))
        self._program: Program | None = None
        self.start()

    def start(self) -> None:
        """Start it, on the port that it had before if it had one."""
        for _ in range(1 if self.port else _STARTS):
            port = self.port or free_port(ipv6=self._ipv6)
            program = self._launch(port)
            if self._answers(program, port):
                self._program, self.port = program, port
                return
        raise AssertionError(f"nginx does not start:\n{self._scene.logs()}")

    def stop(self) -> None:
        """End it at once, in the middle of whatever it does."""
        if self._program is not None:
            self._program.end()

    def url(self, path: str, *, host: str = "127.0.0.1", userinfo: str = "") -> str:
        """The URL of a path that begins with no slash."""
        at = f"{userinfo}@" if userinfo else ""
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://{at}{host}:{self.port}/{path}"

    def entries(self, name: str) -> list[Entry]:
        """What the access log has of the file ``name``, in whatever directory."""
        return [entry for entry in self._entries() if entry.path.rpartition("/")[2] == name]

    def body_bytes(self, name: str) -> int:
        """How many bytes of the file's content left in transfers that have ended.

        Of one byte, by which an origin is asked whether it would give more, there is no count.
        """
        return sum(
            entry.body_bytes
            for entry in self.entries(name)
            if entry.status in (200, 206) and entry.range != "bytes=0-0"
        )

    def _entries(self) -> Iterator[Entry]:
        log = self._work / "access.log"
        for line in log.read_text().splitlines() if log.exists() else ():
            match = _ENTRY.fullmatch(line)
            assert match is not None, line
            status, sent, method, path, wanted, user = match.groups()
            yield Entry(int(status), int(sent), method, path, wanted, user)

    def _certificate_lines(self) -> str:
        path = self._certificate
        return f"ssl_certificate {path}; ssl_certificate_key {path};" if path is not None else ""

    def _answers(self, program: Program, port: int) -> bool:
        """Wait until it does, or has ended because the port is taken."""
        self._scene.wait_until(lambda: program.code is not None or connects(port), "nginx")
        return program.code is None

    def _launch(self, port: int) -> Program:
        config = self._work / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                user="user root;" if os.getuid() == 0 else "",
                work=self._work,
                temporary="\n    ".join(
                    f"{name}_temp_path {self._work}/{name};" for name in _TEMPORARY
                ),
                port=port,
                tls=" ssl" if self._certificate is not None else "",
                certificate=self._certificate_lines(),
                ipv6=f"listen [::1]:{port};" if self._ipv6 else "",
                rule=self._rule,
                root=self.files,
                rate=self._rate,
            )
        )
        command = ["nginx", "-p", str(self._work), "-c", str(config), "-e", "stderr"]
        return self._scene.start(self._name, command, cwd=self._work)


def free_port(*, ipv6: bool = False) -> int:
    """A port of loopback that was free a moment ago; whoever uses it must expect it taken."""
    family, address = (socket.AF_INET6, "::1") if ipv6 else (socket.AF_INET, "127.0.0.1")
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def connects(port: int) -> bool:
    """Whether something listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
