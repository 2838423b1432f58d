"""A client's own certificate, as some origins ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet._sslverify import IOpenSSLTrustRoot  # there is no public name for it
from zope.interface import implementer

from dragonfly.errors import ConfigError

__all__ = ["ClientCertificate", "RootWithClient"]


@attrs.frozen
class ClientCertificate:
    """Two PEM files.

    They are read whenever the settings for connections are made.

    :ivar cert: with the certificate, and those between it and its authority.
    :ivar key: with its key, not encrypted; the same file if it holds both.
    """

    cert: str
    key: str

    def check(self) -> None:
        """See whether the files can be used.

        :raises ConfigError: naming the one that cannot.
        """
        shown = self._certificate()
        try:
            key = load_pem_private_key(_read("client_key", self.key), password=None)
        except TypeError:
            raise ConfigError(f"client_key {self.key}: the key is encrypted") from None
        except ValueError:
            raise ConfigError(f"client_key {self.key}: no key in PEM form") from None
        if key.public_key() != shown.public_key():
            text = f"it does not belong to the certificate in {self.cert}"
            raise ConfigError(f"client_key {self.key}: {text}")

    def put_into(self, context: SSL.Context) -> None:
        """Have all connections of the context show it.

        :raises ConfigError: as :meth:`check` does.
        """
        self.check()  # OpenSSL would ask the terminal for the password of a key
        try:
            # From files: which key objects pyOpenSSL takes depends on its version.
            context.use_certificate_chain_file(self.cert)
            context.use_privatekey_file(self.key)
        except SSL.Error:
            text = f"not the key of the certificate in {self.cert}"
            raise ConfigError(f"client_key {self.key}: {text}") from None

    def _certificate(self) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificates(_read("client_cert", self.cert))[0]
        except ValueError:
            raise ConfigError(f"client_cert {self.cert}: no certificate in PEM form") from None


@implementer(IOpenSSLTrustRoot)
class RootWithClient:
    """Authorities to believe, and a certificate to show.

    Twisted lets only the authorities touch a context before its first use; after that
    OpenSSL's bindings let nobody.
    """

    def __init__(self, root: Any, client: ClientCertificate) -> None:
        self._root = root
        self._client = client

    def _addCACertsToContext(self, context: SSL.Context) -> None:
        self._root._addCACertsToContext(context)  # noqa: SLF001
        self._client.put_into(context)


def _read(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        raise ConfigError(f"{key} {path}: {exc.strerror}") from None
