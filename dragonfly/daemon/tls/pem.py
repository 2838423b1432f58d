"""PEM files that an operator names: the mirror's own certificate, a registry's authorities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.ssl import CertificateOptions

from dragonfly.errors import ConfigError
from dragonfly.store.files import atomic_write

__all__ = ["joined_authorities", "server_options"]


def server_options(certpem: str, keypem: str) -> CertificateOptions:
    """Give what a port needs to be served over TLS.

    :raises ConfigError: a file cannot be used, or they do not belong together.
    """
    _read("certpem", certpem)
    _read("keypem", keypem)
    # Clients that offer h2 as well are refused by Twisted where nobody chooses.
    options = CertificateOptions(acceptableProtocols=[b"http/1.1"])
    context = options.getContext()
    try:
        context.use_certificate_chain_file(certpem)
    except SSL.Error:
        raise ConfigError(f"certpem {certpem}: no certificate in PEM form") from None
    try:
        context.use_privatekey_file(keypem)
        context.check_privatekey()
    except SSL.Error:
        raise ConfigError(
            f"keypem {keypem}: not the key, in PEM form, of the certificate in {certpem}"
        ) from None
    return options


def joined_authorities(certs: Sequence[str], into: Path) -> str | None:
    """Give one file with the certificates of all of ``certs``; ``None`` if there are none.

    :param into: the file that is written if there are several.
    :raises ConfigError: a file cannot be read, or holds no certificate.
    :raises StoreError: ``into`` cannot be written.
    """
    texts = [_authorities(path) for path in certs]
    if len(certs) < 2:
        return certs[0] if certs else None
    atomic_write(into, b"\n".join(texts), 0o600)
    return str(into)


def _authorities(path: str) -> bytes:
    text = _read("certs", path)
    try:
        x509.load_pem_x509_certificates(text)
    except ValueError:
        raise ConfigError(f"certs {path}: no certificate in PEM form") from None
    return text


def _read(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{key} {path}: {error.strerror}") from None
