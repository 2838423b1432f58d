"""``dfdaemon gen-ca``: makes the authority for ``hijack_https``, and tells where to trust it."""

from __future__ import annotations

import datetime
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from twisted.python import usage

from dragonfly.config import values
from dragonfly.daemon.tls.newauthority import (
    DAYS_MOST,
    NewAuthority,
    make_authority,
    write_authority,
)
from dragonfly.errors import DragonflyError

__all__ = ["main"]

_CERT = "/etc/dragonfly/ca.crt"
_KEY = "/etc/dragonfly/ca.key"

_TOLD = """\
certificate  {cert}
key          {key}   (keep it secret: whoever has it is any server to those who trust it)
valid until  {until:%Y-%m-%d}
SHA-256      {fingerprint}

In /etc/dragonfly/dfdaemon.yml (hosts: regular expressions, searched for in host:port):

  hijack_https:
    cert: {cert}
    key: {key}
    hosts:
      - regx: ^registry\\.example\\.com:443$

Clients that go through dfdaemon as their HTTPS_PROXY must trust the certificate.
For all of a host:

  Debian, Ubuntu   cp {cert} /usr/local/share/ca-certificates/dfdaemon.crt
                   update-ca-certificates
  RHEL, Fedora     cp {cert} /etc/pki/ca-trust/source/anchors/dfdaemon.crt
                   update-ca-trust

then restart what runs already: dockerd, containerd, CRI-O. Or one by one:

  dockerd          /etc/docker/certs.d/REGISTRY/dfdaemon.crt
  podman, CRI-O,   /etc/containers/certs.d/REGISTRY/dfdaemon.crt
    skopeo, buildah
  containerd       ca = ["{cert}"] in /etc/containerd/certs.d/REGISTRY/hosts.toml
  curl             --cacert {cert}
  pip              PIP_CERT={cert}          (only this authority counts then)
  git              GIT_SSL_CAINFO={cert}    (only this authority counts then)
  npm, node        NODE_EXTRA_CA_CERTS={cert}

REGISTRY is its name as images have it, with the port if they name one.
"""


class _Options(usage.Options):
    synopsis = "Usage: dfdaemon gen-ca [--cert FILE] [--key FILE] [options]"
    longdesc = "Makes the authority that dfdaemon opens TLS connections with (hijack_https)."
    optParameters = [  # noqa: N815
        ["cert", None, _CERT, "where its certificate goes"],
        ["key", None, _KEY, "where its key goes"],
        ["days", None, str(DAYS_MOST), f"how long it lasts, 1 to {DAYS_MOST}"],
        ["name", None, None, "its name [default: dfdaemon on HOSTNAME]"],
    ]
    optFlags = [["force", None, "replace files that are there"]]  # noqa: N815


def main(arguments: Sequence[str]) -> int:
    """Run the command; give its exit code.

    :raises SystemExit: for ``--help``.
    """
    options = _Options()  # type: ignore[no-untyped-call]
    try:
        options.parseOptions(list(arguments))  # type: ignore[no-untyped-call]
        days = values.number("--days", options["days"], 1, DAYS_MOST)
    except (usage.UsageError, DragonflyError) as error:
        print(f"dfdaemon gen-ca: {error}\nTry 'dfdaemon gen-ca --help'.", file=sys.stderr)
        return 2
    try:
        print(_make(options, days), end="")
    except DragonflyError as error:
        print(f"dfdaemon gen-ca: {error}", file=sys.stderr)
        return 1
    return 0


def _make(options: _Options, days: int) -> str:
    cert, key = Path(options["cert"]).absolute(), Path(options["key"]).absolute()
    name = options["name"] if options["name"] is not None else _default_name()
    made = make_authority(name, days=days, now=datetime.datetime.now(datetime.timezone.utc))
    write_authority(made, cert, key, force=bool(options["force"]))
    return _told(made, cert, key)


def _default_name() -> str:
    return f"dfdaemon on {socket.gethostname()}"[:64]


def _told(made: NewAuthority, cert: Path, key: Path) -> str:
    return _TOLD.format(cert=cert, key=key, until=made.until, fingerprint=made.fingerprint)
