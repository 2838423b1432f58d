"""The servers that dfdaemon's benchmark runs: registry, caching nginx, and dfdaemon itself."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from rig import MIB, Supernode, children, connects, free_port, wait_until

LISTENING = re.compile(r"listening on [\d.]+:(\d+)")
BYTES = re.compile(r'^dragonfly_dfdaemon_bytes_total\{source="(\w+)"\} (\S+)$', re.MULTILINE)
REPOSITORY = "library/bench"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"


class Server:
    """A process with a log beside it and a port on loopback."""

    port: int

    def __init__(self, work: Path, name: str, *command: str) -> None:
        self.log = work / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=work)
        children.append(self.process)

    @property
    def pid(self) -> int:
        """The process that does the work."""
        return self.process.pid

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End it and wait."""
        self.process.terminate()
        self.process.wait()


class Registry(Server):
    """``docker-registry`` on a directory, and how to put something into it."""

    def __init__(self, work: Path) -> None:
        config = work / "registry.json"
        storage = {
            "filesystem": {"rootdirectory": str(work / "registry")},
            "cache": {"blobdescriptor": "inmemory"},
        }
        log = {"level": "info", "accesslog": {"disabled": True}}
        given = {"version": 0.1, "log": log, "storage": storage, "http": {"addr": "127.0.0.1:0"}}
        config.write_text(json.dumps(given))
        super().__init__(work, "registry", "docker-registry", "serve", str(config))
        wait_until(lambda: bool(LISTENING.search(self.log.read_text())), "the registry")
        found = LISTENING.search(self.log.read_text())
        assert found is not None
        self.port = int(found[1])

    def push_file(self, path: Path) -> str:
        """Upload a file as a blob; give its digest."""
        hasher = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(MIB):
                hasher.update(block)
        digest = f"sha256:{hasher.hexdigest()}"
        link = http.client.HTTPConnection("127.0.0.1", self.port)
        link.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/")
        answer = link.getresponse()
        answer.read()
        place = urlsplit(answer.headers["Location"])
        with path.open("rb") as file:
            target = f"{place.path}?{place.query}&digest={digest}"
            headers = {"Content-Type": "application/octet-stream"}
            headers["Content-Length"] = str(path.stat().st_size)
            link.request("PUT", target, body=file, headers=headers)
            require(link.getresponse(), 201, "a blob")
        link.close()
        return digest

    def push_manifest(self, tag: str, config: str, size: int) -> None:
        """Upload a manifest whose configuration and only layer is one blob."""
        named = {"mediaType": EMPTY, "digest": config, "size": size}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": named, "layers": [named]}
        link = http.client.HTTPConnection("127.0.0.1", self.port)
        target = f"/v2/{REPOSITORY}/manifests/{tag}"
        link.request("PUT", target, json.dumps(manifest), {"Content-Type": MANIFEST})
        require(link.getresponse(), 201, "a manifest")
        link.close()


class BlobServer(Server):
    """nginx that has blobs where a registry has them: what an origin costs at the least."""

    def __init__(self, work: Path) -> None:
        self.port = free_port()
        self.blobs = work / "www" / "v2" / REPOSITORY / "blobs"
        self.blobs.mkdir(parents=True)
        config = work / "blobs.conf"
        config.write_text(
            f"daemon off; user root; worker_processes 1; pid {work}/blobs.pid;\n"
            f"error_log {work}/blobs.err; events {{ worker_connections 1024; }}\n"
            f"http {{ access_log off; sendfile on; client_body_temp_path {work}/blobs-body;\n"
            f" server {{ listen 127.0.0.1:{self.port}; keepalive_requests 100000;\n"
            f"  root {work}/www; location /v2/ {{ }} location = /v2/ {{ return 200; }} }} }}\n"
        )
        super().__init__(work, "blobs", "nginx", "-p", str(work), "-c", str(config))
        wait_until(lambda: connects(self.port), "the blob server")

    def push_file(self, path: Path) -> str:
        """Put a file where its digest says; give that."""
        digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        shutil.copyfile(path, self.blobs / digest)
        return digest


class CachingNginx(Server):
    """nginx in front of a registry, as plain as can be: it caches blobs, and nothing else."""

    def __init__(self, work: Path, registry: Registry | BlobServer) -> None:
        self.port = free_port()
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{name}_temp_path {work}/nginx-{name}; " for name in names)
        config = work / "nginx-cache.conf"
        config.write_text(
            f"daemon off; master_process off; pid {work}/nginx-cache.pid;\n"
            f"error_log {work}/nginx-cache.err; events {{ worker_connections 512; }}\n"
            f"http {{ access_log off; sendfile on; tcp_nopush on; {temporary}\n"
            f" proxy_cache_path {work}/nginx-cache keys_zone=blobs:1m use_temp_path=off;\n"
            f" upstream registry {{ server 127.0.0.1:{registry.port}; keepalive 8; }}\n"
            f" server {{ listen 127.0.0.1:{self.port}; keepalive_requests 100000;\n"
            "  proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffers 8 64k;\n"
            "  proxy_set_header Host $host; proxy_max_temp_file_size 0;\n"
            "  location / { proxy_pass http://registry; }\n"
            "  location ~ /blobs/ { proxy_pass http://registry; proxy_cache blobs;\n"
            "   proxy_cache_key $uri; proxy_cache_valid 200 1d; } } }\n"
        )
        super().__init__(work, "nginx-cache", "nginx", "-p", str(work), "-c", str(config))
        wait_until(lambda: connects(self.port), "nginx")


class Dfdaemon(Server):
    """``twistd dfdaemon`` with a home of its own.

    :param registry: URL of the registry.
    :param under: a command that runs it.
    """

    def __init__(
        self,
        home: Path,
        supernode: Supernode | None,
        registry: str,
        *flags: str,
        under: Sequence[str] = (),
    ) -> None:
        home.mkdir()
        self.home = home
        twistd = Path(sys.executable).with_name("twistd")
        role = ["dfdaemon", "--workHome", str(home), "--registry", registry]
        role += ["--peerIp", "127.0.0.1", *flags]
        if supernode is not None:
            role += ["--node", f"127.0.0.1:{supernode.port}"]
        role += ["--port", "0", "--peerPort", "0", "--statusPort", "0"]
        command = (*under, str(twistd), "-n", "--pidfile=", *role)
        super().__init__(home.parent, home.name, *command)
        ports = home / "dfdaemon-ports.json"
        wait_until(ports.exists, "dfdaemon")
        told = json.loads(ports.read_text())
        self.port, self.status = int(told["front"]), int(told["status"])

    def sources(self) -> dict[str, float]:
        """Bytes of bodies by where they came from."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.status}/metrics") as answer:
            found = BYTES.findall(answer.read().decode())
        return {source: float(count) for source, count in found}

    def share_of_peers(self) -> float:
        """How much of all that came over the network other hosts sent; from 0 to 1."""
        found = self.sources()
        peers, cdn = found.get("peers", 0.0), found.get("cdn", 0.0)
        return peers / (peers + cdn) if peers else 0.0


def require(answer: http.client.HTTPResponse, status: int, what: str) -> None:
    """End the run loudly when the registry does not take something."""
    said = answer.read()
    if answer.status != status:
        sys.exit(f"the registry answers {answer.status} to {what}: {said[:200]!r}")
