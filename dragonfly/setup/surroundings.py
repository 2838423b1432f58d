"""What dfdaemon needs around it: supernodes, disk, certificates."""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography import x509

from dragonfly.config import DaemonConfig
from dragonfly.daemon.tls.authority import may_sign
from dragonfly.errors import ConfigError, HomeUnusable, OriginUnreachable, StoreError
from dragonfly.net.pem import PemFile, read_pair
from dragonfly.peer.home.home import Home, Pins
from dragonfly.setup.finding import Finding, fail, ok, warn
from dragonfly.setup.running import home_of
from dragonfly.setup.tree import Tree
from dragonfly.setup.web import get, unchecked
from dragonfly.store.files import disk_bytes
from dragonfly.store.space import lacking

__all__ = ["check_authority", "check_disk", "check_mirror_certificate", "check_supernodes"]

SOON = datetime.timedelta(days=30)

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""The system's authorities: Debian, Red Hat (new and old), SUSE, Alpine."""


# -- supernodes ----------------------------------------------------------------------------


def check_supernodes(nodes: Iterable[str], home: Path) -> Iterator[Finding]:
    """Ask each over TLS, as peers do, and compare its key with the one that is remembered."""
    pins = Home(home).pins()
    nodes = tuple(nodes)
    if not nodes:
        text = "none is configured, so everything comes from the registry"
        yield warn("supernode", text, "name one: supernodes in dfdaemon.yml, or --node")
    for node in nodes:
        what = f"supernode {node}"
        try:
            reply = get(f"https://{node}/_ping", context=unchecked())
        except OriginUnreachable as error:
            yield fail(what, f"does not answer: {error}", "start it, or let its port 8002 through")
            continue
        if reply.status != 200:
            text = f"answers /_ping with {reply.status}"
            yield fail(what, text, "another program is there: correct the address")
        elif reply.pin is not None and (_known(pins, node) or reply.pin) != reply.pin:
            text = "has another key than this host remembers, so nothing is sent to it"
            yield fail(what, text, f"if it was set up anew, remove its line from {pins.path}")
        else:
            yield ok(what, "answers")


def _known(pins: Pins, node: str) -> bytes | None:
    try:
        return pins.get(node)
    except HomeUnusable:  # another user's, perhaps
        return None


# -- disk ----------------------------------------------------------------------------------


def check_disk(config: DaemonConfig) -> Finding:
    """Whether layers can be kept."""
    home = home_of(config)
    place = Path(config.local_repo).expanduser() if config.local_repo else home
    there = next(path for path in (place, *place.absolute().parents) if path.exists())
    what = f"disk of {place}"
    try:
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"x")
        free, whole = disk_bytes(there)
    except (OSError, StoreError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "every layer comes from the registry: make it writable, or change localrepo"
        return fail(what, f"cannot be written: {reason}", remedy)
    text = f"{free / 2**30:.1f} of {whole / 2**30:.1f} GiB are free"
    if lacking(free, whole):
        return warn(what, text, "layers are dropped early: use a larger disk (localrepo)")
    return ok(what, text)


# -- certificates --------------------------------------------------------------------------


def check_authority(config: DaemonConfig, tree: Tree, now: datetime.datetime) -> Iterator[Finding]:
    """The CA that intercepted connections are signed with: is it valid, and who believes it?"""
    hijack = config.hijack
    if hijack is None:
        return
    what = f"CA {hijack.cert}"
    certificate, finding = _certificate(what, hijack.cert, hijack.key, now)
    yield finding
    if certificate is None:
        return
    if not may_sign(certificate):
        yield fail(what, "is no certificate of an authority", "make one: dfdaemon gen-ca")
        return
    yield _trusted(what, certificate, tree)


def check_mirror_certificate(config: DaemonConfig, now: datetime.datetime) -> Iterator[Finding]:
    """The certificate of the mirror, where it is served over TLS."""
    if config.certpem is not None and config.keypem is not None:
        what = f"certificate {config.certpem}"
        yield _certificate(what, config.certpem, config.keypem, now)[1]


def _certificate(
    what: str, path: str, key_path: str, now: datetime.datetime
) -> tuple[x509.Certificate | None, Finding]:
    try:
        certificate = read_pair(PemFile("certificate", path), PemFile("key", key_path)).chain[0]
    except ConfigError as error:
        remedy = "name files that were made together, and that dfdaemon may read"
        return None, fail(what, f"cannot be used: {error}", remedy)
    # cryptography 43 and later: times with a zone
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begins <= now < ends:
        text = f"is valid from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}, which is not now"
        return certificate, fail(what, text, "make a new one, or set the clock")
    if ends - now < SOON:
        text = f"expires on {ends:%Y-%m-%d}"
        return certificate, warn(what, text, "make a new one, and have it trusted before")
    return certificate, ok(what, f"is valid until {ends:%Y-%m-%d}")


def _trusted(what: str, certificate: x509.Certificate, tree: Tree) -> Finding:
    for path in BUNDLES:
        try:
            text = tree.read(path)
            bundle = x509.load_pem_x509_certificates((text or "").encode()) if text else []
        except (ConfigError, ValueError):
            continue
        if certificate in bundle:
            return ok(what, f"is trusted by the system ({path})")
    remedy = (
        "copy it to /usr/local/share/ca-certificates/dragonfly.crt and run "
        "update-ca-certificates (Red Hat: /etc/pki/ca-trust/source/anchors, update-ca-trust), "
        "and restart the engine"
    )
    return warn(what, "is not among the authorities that the system trusts", remedy)
