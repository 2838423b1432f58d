"""The reference registry in six set-ups, all with the same contents."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs

from tests.e2e.rig.authority import Authority
from tests.e2e.rig.images import Blob
from tests.e2e.rig.network import Network
from tests.e2e.rig.registry import CHECK_BYTES, Storage, needed
from tests.e2e.rig.scene import Program

__all__ = ["NAMES", "PASSWORD", "PLACES", "SITES", "USER", "Site", "Sites"]

NAMES = {"registry.test": 1, "auth.test": 2, "cdn.test": 3, "intake.test": 4}
"""Names of servers, and the last numbers of their addresses."""

USER, PASSWORD = "alice", "correct-horse"

_REGISTRY, _AUTH, _CDN, _ = (f"10.88.0.{number}" for number in NAMES.values())
_REALM_PORT, _CDN_PORT, _STORE_PORT, _FILES_PORT, _BACKEND_PORT = 5100, 5200, 5201, 5202, 5900

_NGINX = """
daemon off;
{user}
worker_processes 1;
pid {work}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {work}/b; proxy_temp_path {work}/p; fastcgi_temp_path {work}/f;
    uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
    access_log {log};
    types {{ text/html html; }}
    default_type application/octet-stream;
    sendfile on;
    server {{
        listen {address}:{port};
        listen {address}:{secure} ssl;
        ssl_certificate {pem};
        ssl_certificate_key {pem};
        if ($http_authorization) {{ return 400; }}
        root {root};
        location ~ /objects/batch$ {{
            default_type application/vnd.git-lfs+json;
            error_page 405 =200 $uri;
        }}
    }}
    server {{
        listen {registry} ssl;
        ssl_certificate {pem};
        ssl_certificate_key {pem};
        client_max_body_size 1m;
        location / {{
            proxy_pass http://127.0.0.1:{backend};
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto https;
        }}
    }}
}}
"""


@attrs.frozen(kw_only=True)
class Site:
    """One registry, as a client meets it."""

    name: str
    title: str
    port: int
    scheme: str = "https"
    members: bool = False

    @property
    def netloc(self) -> str:
        """As a reference to an image begins."""
        return f"registry.test:{self.port}"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.scheme}://{self.netloc}"


SITES = {
    site.name: site
    for site in (
        Site(name="http", title="HTTP", port=5000, scheme="http"),
        Site(name="tls", title="HTTPS, own CA", port=5001),
        Site(name="htpasswd", title="HTTPS, passwords", port=5002, members=True),
        Site(
            name="bearer", title="HTTPS, bearer token of a separate realm", port=5003, members=True
        ),
        Site(name="cdn", title="HTTPS, blobs by 307 to an HTTP CDN", port=5004),
        Site(name="signed", title="HTTPS, blobs by 307 to a signed URL", port=5005, members=True),
    )
}


_LIMITED = Site(name="limited", title="HTTPS, behind nginx that takes 1 MiB at most", port=5006)
PLACES = {**SITES, _LIMITED.name: _LIMITED}
"""The same and one that refuses large layers."""


class Sites:
    """All of them, running on the network's first host.

    :ivar storage: what they have in common: an image that is put there is in all of them.
    :ivar programs: those that are docker-registry themselves, by name.
    """

    def __init__(self, network: Network, authority: Authority) -> None:
        needed("docker-registry", "nginx", "htpasswd")
        self._host = network.servers
        self._work = network.servers.directory("sites")
        self.storage = Storage(network.servers.directory("storage"))
        self._pem = authority.server(*NAMES)
        self._token = Authority(network.servers.directory("tokens"), "tokens")
        self.programs: dict[str, Program] = {
            site.name: self._registry(site) for site in SITES.values() if site.name != "signed"
        }
        programs = [*self.programs.values(), self._backend(), self._nginx(), self._cloud()]
        ports = [*(site.port for site in PLACES.values()), _REALM_PORT, _CDN_PORT, _STORE_PORT]
        for port in (*ports, _BACKEND_PORT):
            self._host.wait_until(lambda port=port: self._up(port, programs), f"port {port}")  # type: ignore[misc]

    FILES = {"http": f"http://cdn.test:{_CDN_PORT}", "https": f"https://cdn.test:{_FILES_PORT}"}
    """What is in the storage, plainly."""

    FOREIGN = f"{FILES['http']}/foreign"
    """Where :meth:`publish` puts files."""

    def publish(self, file: Path) -> None:
        """Put a file where foreign layers are."""
        target = self.storage.path / "foreign" / file.name
        target.parent.mkdir(exist_ok=True)
        target.hardlink_to(file)

    def sent(self, blob: Blob) -> int:
        """Bytes of a blob that left in answers that have ended, whichever server gave them; those
        to checks are not counted."""
        line = re.compile(rf'"GET \S*{blob.hex}\S* HTTP/[\d.]+" 20[06] (\d+)')
        logs = [*self._work.glob("*.access"), *self._host.root.glob("site-*.log")]
        texts = [log.read_text(errors="replace") for log in logs]
        counts = [int(count) for text in texts for count in line.findall(text)]
        return sum(count for count in counts if count > CHECK_BYTES)

    def _up(self, port: int, programs: list[Any]) -> bool:
        ended = [program for program in programs if program.code is not None]
        assert not ended, f"a server ended:\n{ended[0].text()}"
        return self._host.listens(port)

    def _registry(self, site: Site) -> Any:
        settings: dict[str, Any] = {}
        if site.name == "htpasswd":
            settings["auth"] = {"htpasswd": {"realm": "members", "path": str(self._members())}}
        if site.name == "bearer":
            settings["auth"] = {"token": self._realm()}
        if site.name == "cdn":
            options = {"baseurl": f"http://cdn.test:{_CDN_PORT}/"}
            settings["middleware"] = {"storage": [{"name": "redirect", "options": options}]}
        tls = {"certificate": str(self._pem), "key": str(self._pem)}
        http = {"tls": tls} if site.scheme == "https" else {}
        return self._serve(site.name, f"{_REGISTRY}:{site.port}", {**settings, "http": http})

    def _backend(self) -> Any:
        """Behind the one whose blobs are signed."""
        return self._serve("backend", f"127.0.0.1:{_BACKEND_PORT}", {"http": {}})

    def _serve(self, name: str, address: str, settings: dict[str, Any]) -> Any:
        config = self._work / f"{name}.yml"  # JSON is YAML
        text = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(self.storage.path)}},
            **settings,
            "http": {**settings["http"], "addr": address},
        }
        config.write_text(json.dumps(text))
        return self._host.start(f"site-{name}", ["docker-registry", "serve", str(config)])

    def _realm(self) -> dict[str, str]:
        return {
            "realm": f"https://auth.test:{_REALM_PORT}/token",
            "service": "registry.test",
            "issuer": "realm",
            "rootcertbundle": str(self._token.path),
        }

    def _members(self) -> Path:
        command = ["htpasswd", "-Bbn", "-C", "4", USER, PASSWORD]  # the registry takes bcrypt only
        path = self._work / "htpasswd"
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        path.write_text(done.stdout.strip() + "\n")
        return path

    def _nginx(self) -> Any:
        config = self._work / "nginx.conf"
        text = _NGINX.format(
            user="user root;",
            work=self._work,
            log=self._work / "nginx.access",
            address=_CDN,
            port=_CDN_PORT,
            secure=_FILES_PORT,
            pem=self._pem,
            root=self.storage.path,
            registry=f"{_REGISTRY}:{_LIMITED.port}",
            backend=_BACKEND_PORT,
        )
        config.write_text(text)
        command = ["nginx", "-p", str(self._work), "-c", str(config), "-e", "stderr"]
        return self._host.start("cdn", command)

    def _cloud(self) -> Any:
        settings = {
            "certificate": str(self._pem),
            "realm": [_AUTH, _REALM_PORT],
            "front": [_REGISTRY, SITES["signed"].port],
            "store": [_CDN, _STORE_PORT],
            "key": str(self._token.key_path),
            "service": "registry.test",
            "user": USER,
            "password": PASSWORD,
            "backend": _BACKEND_PORT,
            "storage": str(self.storage.path),
            "store_url": f"https://cdn.test:{_STORE_PORT}",
            "logs": str(self._work),
        }
        path = self._work / "cloud.json"
        path.write_text(json.dumps(settings))
        program = Path(__file__).with_name("cloud.py")
        command = [sys.executable, str(program), str(path), str(self._work / "cloud-ready")]
        return self._host.start("cloud", command)
