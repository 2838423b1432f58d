"""Makes the authority that ``hijack_https`` needs."""

from __future__ import annotations

import datetime
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from dragonfly.daemon.tls.authority import SIGNS_CERTIFICATES
from dragonfly.errors import ConfigError, StoreError
from dragonfly.net.certificates import BACKDATED, builder, common_name, new_key, pem_of
from dragonfly.store.files import atomic_write

__all__ = ["DAYS_MOST", "NewAuthority", "make_authority", "write_authority"]

DAYS_MOST = 3652
"""Ten years: who has the key reads what its clients say, so it should be made anew some day."""


@attrs.frozen(kw_only=True)
class NewAuthority:
    """Certificate and key, in PEM form.

    :ivar until: when it ends.
    :ivar fingerprint: SHA-256 of the certificate, as browsers and openssl show it.
    """

    cert: bytes
    key: bytes = attrs.field(repr=False)
    until: datetime.datetime
    fingerprint: str


def make_authority(name: str, *, days: int, now: datetime.datetime) -> NewAuthority:
    """Make a self-signed CA that may sign servers, and no other authorities.

    :param name: its common name.
    :param days: how long it lasts from ``now`` on.
    :raises ConfigError: the name is empty or longer than 64 characters.
    """
    key = new_key()
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    until = now.replace(microsecond=0) + datetime.timedelta(days=days)
    try:
        subject = common_name(name)
    except ValueError:
        raise ConfigError(f"--name: {name!r} has not 1 to 64 characters") from None
    certificate = (
        builder(subject, key, begin=now - BACKDATED, end=until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(SIGNS_CERTIFICATES, critical=True)
        .add_extension(own, critical=False)
        .sign(key, hashes.SHA256())
    )
    return NewAuthority(
        cert=certificate.public_bytes(Encoding.PEM),
        key=pem_of(key),
        until=until,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
    )


def write_authority(made: NewAuthority, cert: Path, key: Path, *, force: bool) -> None:
    """Write both files; nobody else may read the key.

    :param force: replace files that are there.
    :raises ConfigError: one is there, or both are to have the same name.
    :raises StoreError: one cannot be written.
    """
    if cert == key:
        raise ConfigError(f"{cert} cannot be both certificate and key")
    for path in (cert, key):
        if path.exists() and not force:
            raise ConfigError(f"{path} is there already: --force replaces it")
    for path, data, mode in ((key, made.key, 0o600), (cert, made.cert, 0o644)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path.parent}: {error.strerror}") from None
        atomic_write(path, data, mode)
