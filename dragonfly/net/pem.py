"""PEM files that somebody named: certificates, and keys; no reactor, and no OpenSSL.

Every error names the file, what it was named for, and what is wrong with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from dragonfly.errors import ConfigError

__all__ = ["KeyPair", "PemFile", "read_pair"]


@attrs.frozen(kw_only=True)
class KeyPair:
    """What shows who somebody is.

    :ivar key: one of the private keys of ``cryptography``.
    :ivar chain: the certificate, and those between it and its authority.
    :ivar name: of the certificate, for errors.
    """

    key: Any = attrs.field(repr=False)
    chain: tuple[x509.Certificate, ...]
    name: str = "the certificate"


@attrs.frozen
class PemFile:
    """One file; it is read whenever it is asked.

    :ivar what: what somebody named it for, as they call it; empty: it needs no such word.
    :ivar path: may begin with ``~``.
    """

    what: str
    path: str

    def __str__(self) -> str:
        return f"{self.what} {self.path}".lstrip()

    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Give all that are in it, in their order; whatever else is in it does not count.

        :raises ConfigError: it cannot be read, or there is none.
        """
        try:
            return tuple(x509.load_pem_x509_certificates(self._read()))
        except ValueError:
            raise ConfigError(f"{self}: no certificate in PEM form") from None

    def key(self) -> Any:
        """Give the private key in it; whatever else is in it does not count.

        :raises ConfigError: it cannot be read, there is none, or it is encrypted.
        """
        try:
            return load_pem_private_key(self._read(), password=None)
        except TypeError:
            text = "the key is encrypted: it must have no passphrase"
            raise ConfigError(f"{self}: {text}") from None
        except (ValueError, UnsupportedAlgorithm):
            raise ConfigError(f"{self}: no private key in PEM form") from None

    def _read(self) -> bytes:
        try:
            return Path(self.path).expanduser().read_bytes()
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(f"{self}: {reason}") from None


def read_pair(cert: PemFile, key: PemFile) -> KeyPair:
    """Read a certificate and its key.

    :param key: the same file as ``cert`` if it holds both.
    :raises ConfigError: one cannot be used, or they do not belong together.
    """
    pair = KeyPair(chain=cert.certificates(), key=key.key(), name=str(cert))
    if not _belongs(pair):
        raise ConfigError(f"{key}: it does not belong to the certificate in {cert.path}")
    return pair


def _belongs(pair: KeyPair) -> bool:
    try:
        return bool(pair.key.public_key() == pair.chain[0].public_key())
    except (ValueError, UnsupportedAlgorithm):  # a certificate for a key that nobody knows
        return False
