"""The origin: nginx on its own host, serving files from tmpfs; and the check of the links."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rig import wait_until

from labrig.bound import bytes_per_s
from labrig.net import ORIGIN, ORIGIN_ADDRESS, Net
from labrig.process import Process, end_all
from labrig.scenario import Host

__all__ = ["CHECK_MOST", "CHECK_S", "check_link", "origin"]

CHECK_S = 3.0
"""How long the check pulls."""

CHECKS = 3

CHECK_LEAST, CHECK_MOST = 0.98, 1.05
"""What a lone curl is to reach of what the link can carry; more would mean that it is not
shaped. The bucket gives something for nothing, which is why it may be more than 1."""

_CONFIG = """
daemon off; master_process off; user root; pid {work}/nginx.pid; error_log {work}/nginx.err;
events {{ worker_connections 2048; }}
http {{
  access_log off; sendfile on; tcp_nopush on; {temporary}
  server {{ listen {address}:80; root {root}; }}
}}
"""


@contextmanager
def origin(net: Net, root: Path, work: Path) -> Iterator[Process]:
    """Run nginx on the origin's host."""
    config = work / "nginx.conf"
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{name}_temp_path {work}/{name};" for name in names)
    config.write_text(
        _CONFIG.format(work=work, temporary=temporary, address=ORIGIN_ADDRESS, root=root)
    )
    inside = net.inside(ORIGIN)
    nginx = Process(inside, ["nginx", "-p", str(work), "-c", str(config)], work / "nginx.log")
    try:
        probe = [*inside, "curl", "-sf", "-o", "/dev/null", f"http://{ORIGIN_ADDRESS}/small"]
        wait_until(lambda: subprocess.run(probe, check=False).returncode == 0, "nginx")
        yield nginx
    finally:
        end_all([nginx])


def check_link(net: Net, host: Host, origin_mbit: float, root: Path) -> float:
    """Pull a file with one curl, again if something disturbed it; give what it reaches of what
    the link carries.

    :param root: of the origin's files.
    :raises SystemExit: too little, or too much.
    """
    rate = bytes_per_s(min(host.mbit, origin_mbit))
    file = root / "check"
    file.write_bytes(bytes(int(rate * CHECK_S)))
    try:
        for _ in range(CHECKS):
            reached = _pull(net, host, f"http://{ORIGIN_ADDRESS}/{file.name}") / rate
            if CHECK_LEAST <= reached <= CHECK_MOST:
                return reached
    finally:
        file.unlink()
    raise SystemExit(
        f"the links are not what they are to be: one curl reaches {reached:.3f} of "
        f"{rate / 1e6:.2f} MB/s; between {CHECK_LEAST} and {CHECK_MOST} was expected"
    )


def _pull(net: Net, host: Host, url: str) -> float:
    """Bytes a second of one curl."""
    command = [*net.inside(host.name), "curl", "-sf", "-o", "/dev/null"]
    command += ["-w", "%{size_download} %{time_total} %{time_pretransfer}", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"curl from {host.name} to the origin ends with {done.returncode}")
    got, total, before = map(float, done.stdout.split())
    return got / (total - before)
