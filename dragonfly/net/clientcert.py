"""A client's own certificate, as some origins ask for."""

from __future__ import annotations

from typing import Any

import attrs
from OpenSSL import SSL
from twisted.internet._sslverify import IOpenSSLTrustRoot  # there is no public name for it
from zope.interface import implementer

from dragonfly.net.contexts import show
from dragonfly.net.pem import KeyPair, PemFile, read_pair

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

    def read(self) -> KeyPair:
        """Read them.

        :raises ConfigError: one cannot be used, or the key is another's; the text names it.
        """
        return read_pair(PemFile("client_cert", self.cert), PemFile("client_key", self.key))

    def put_into(self, context: SSL.Context) -> None:
        """Have all connections of the context show it.

        :raises ConfigError: as :meth:`read` does, or OpenSSL does not take it.
        """
        show(context, self.read())


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
