"""Which certificates of origins are believed: per client, never for the whole process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from dragonfly.errors import ConfigError
from dragonfly.net.checkedtls import CheckedConnection, client_connection
from dragonfly.net.clientcert import ClientCertificate, RootWithClient
from dragonfly.net.pem import PemFile

if TYPE_CHECKING:
    from twisted.protocols.tls import TLSMemoryBIOProtocol

__all__ = ["Trust", "UncheckedConnection"]


def _paths(given: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given or ()


@attrs.frozen
class Trust:
    """How far an origin's certificate is checked, and which one is shown to it.

    By default against the system's authorities.  ``cacerts`` are PEM files (one may be given
    as it is) whose authorities count instead, or with ``system`` as well; ``insecure``
    believes anybody.

    ``client_cert`` names a PEM file with the certificate (and its chain) that we show
    when we are asked for one, ``client_key`` that with its key, unless it is in the
    same file.
    """

    cacerts: tuple[str, ...] = attrs.field(default=(), converter=_paths)
    insecure: bool = False
    client_cert: str | None = None
    client_key: str | None = None
    system: bool = False

    @property
    def elsewhere(self) -> Trust:
        """What counts where an origin sends us to another one: who we are is not told there."""
        return attrs.evolve(self, client_cert=None, client_key=None)

    def policy(self) -> IPolicyForHTTPS:
        """Return the policy for an Agent; reads the files.

        :raises ConfigError: a file cannot be read or does not hold what it should.
        """
        client = self._client()
        if self.insecure:
            return _Unchecked(client)
        return _Checked(self._root(), client)

    def _client(self) -> ClientCertificate | None:
        if self.client_cert is None:
            if self.client_key is not None:
                raise ConfigError(f"client_key {self.client_key} is given, and no client_cert")
            return None
        client = ClientCertificate(self.client_cert, self.client_key or self.client_cert)
        client.read()  # an error is told now, not by the first connection
        return client

    def _root(self) -> Any:
        if not self.cacerts:
            return platformTrust()
        own = trustRootFromCertificates([each for path in self.cacerts for each in _load(path)])
        return _Roots(platformTrust(), own) if self.system else own


def _load(path: str) -> list[Certificate]:
    found = PemFile("cacerts", path).certificates()
    return [Certificate.loadPEM(each.public_bytes(Encoding.PEM)) for each in found]


@implementer(IOpenSSLTrustRoot)
class _Roots:
    """All that each of several roots believes."""

    def __init__(self, *roots: Any) -> None:
        self._roots = roots

    def _addCACertsToContext(self, context: SSL.Context) -> None:
        for each in self._roots:
            each._addCACertsToContext(context)  # noqa: SLF001


@implementer(IOpenSSLClientConnectionCreator)
class UncheckedConnection:
    """A TLS client connection whose certificate OpenSSL does not judge."""

    def __init__(self, host: str, client: ClientCertificate | None = None) -> None:
        self._host = host
        self._context = CertificateOptions().getContext()
        if client is not None:
            client.put_into(self._context)

    def clientConnectionForTLS(
        self,
        tlsProtocol: TLSMemoryBIOProtocol,  # noqa: N803
    ) -> SSL.Connection:
        """Make one."""
        return client_connection(self._context, tlsProtocol, self._host)


@implementer(IPolicyForHTTPS)
class _Unchecked:
    def __init__(self, client: ClientCertificate | None) -> None:
        self._client = client

    def creatorForNetloc(self, hostname: bytes, port: int) -> UncheckedConnection:  # noqa: ARG002
        return UncheckedConnection(hostname.decode("ascii"), self._client)


@implementer(IPolicyForHTTPS)
class _Checked:
    """Reading the system's authorities takes 10 ms, so all hosts share one context; but a
    certificate of ours may be renewed in its file at any time."""

    def __init__(self, root: Any, client: ClientCertificate | None) -> None:
        self._root = root
        self._client = client
        self._shared: SSL.Context | None = None

    def creatorForNetloc(self, hostname: bytes, port: int) -> CheckedConnection:  # noqa: ARG002
        return CheckedConnection(hostname.decode("ascii"), self._context())

    def _context(self) -> SSL.Context:
        if self._client is not None:
            root = RootWithClient(self._root, self._client)
            return CertificateOptions(trustRoot=root).getContext()
        if self._shared is None:
            self._shared = CertificateOptions(trustRoot=self._root).getContext()
        return self._shared
