"""The authority that vouches for hosts whose connections are opened: certificates, and no
reactor."""

from __future__ import annotations

import datetime
from ipaddress import ip_address
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from dragonfly.errors import ConfigError
from dragonfly.net.certificates import builder, common_name, new_key
from dragonfly.net.pem import KeyPair, PemFile, read_pair

__all__ = [
    "BACKDATED",
    "LEAF_LIFETIME",
    "SIGNS_CERTIFICATES",
    "Authority",
    "Leaf",
    "load_authority",
    "may_sign",
]

BACKDATED = datetime.timedelta(hours=1)
"""For clients whose clock is behind."""

LEAF_LIFETIME = datetime.timedelta(days=90)
"""Some clients refuse certificates that are valid for more than 398 days; nobody keeps these."""

_NAME_CHARS = 64
"""Of a common name (RFC 5280, appendix A.1)."""


@attrs.frozen(kw_only=True)
class Leaf(KeyPair):
    """What a server needs that speaks for one host.

    :ivar until: seconds since 1970 when it ends.
    """

    until: float


@attrs.frozen(kw_only=True)
class Authority:
    """Certificate and key of a CA; see :func:`load_authority`.

    :ivar above: certificates that its file has besides: what signed it.
    """

    certificate: x509.Certificate
    key: Any = attrs.field(repr=False)
    above: tuple[x509.Certificate, ...] = ()

    @property
    def until(self) -> float:
        """Seconds since 1970 when it ends."""
        return self.certificate.not_valid_after_utc.timestamp()

    def mint(self, host: str, now: float) -> Leaf:
        """Make key and certificate for a host, a name or an address; takes about a millisecond.

        A dot at the end of a name is left out: clients look for the name without it.

        :param now: seconds since 1970.
        """
        host = host.removesuffix(".")
        key = new_key()
        began = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
        end = min(began + LEAF_LIFETIME, self.certificate.not_valid_after_utc)
        certificate = self._build(host, key, began - BACKDATED, end).sign(self.key, self._hash)
        chain = (certificate, *self._between())
        return Leaf(key=key, chain=chain, name=host, until=end.timestamp())

    def _build(
        self,
        host: str,
        key: ec.EllipticCurvePrivateKey,
        begin: datetime.datetime,
        end: datetime.datetime,
    ) -> x509.CertificateBuilder:
        subject = common_name(host[:_NAME_CHARS])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return (
            builder(subject, key, issuer=self.certificate.subject, begin=begin, end=end)
            .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_SIGNS_HANDSHAKES, critical=True)
            .add_extension(usage, critical=False)
            .add_extension(own, critical=False)
            .add_extension(self._identifier(), critical=False)
        )

    @property
    def _hash(self) -> hashes.SHA256 | None:
        signs_itself = isinstance(self.key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
        return None if signs_itself else hashes.SHA256()

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        extensions = self.certificate.extensions
        try:
            own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            public: Any = self.certificate.public_key()
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)

    def _between(self) -> tuple[x509.Certificate, ...]:
        # Clients have the root, or do not believe it anyway.
        mine = (self.certificate, *self.above)
        return tuple(each for each in mine if each.subject != each.issuer)


def _usage(*, handshakes: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=handshakes,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not handshakes,
        crl_sign=not handshakes,
        encipher_only=False,
        decipher_only=False,
    )


_SIGNS_HANDSHAKES = _usage(handshakes=True)
SIGNS_CERTIFICATES = _usage(handshakes=False)


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


# -- reading -------------------------------------------------------------------------------


def load_authority(cert: str, key: str, *, now: float) -> Authority:
    """Read the PEM files of a CA.

    :param now: seconds since 1970.
    :raises ConfigError: one cannot be read, it is no CA's certificate, it has ended or not
        begun, or the key is another's; the text names the file.
    """
    file = PemFile("hijack_https: cert", cert)
    pair = read_pair(file, PemFile("hijack_https: key", key))
    certificate, *above = pair.chain
    if not may_sign(certificate):
        raise ConfigError(
            f"{file} is no authority's: it must not sign others; 'dfdaemon gen-ca' makes one"
        )
    _check_dates(certificate, file, now)
    return Authority(certificate=certificate, key=pair.key, above=tuple(above))


def may_sign(certificate: x509.Certificate) -> bool:
    """Whether it is that of an authority: clients believe what it signed if they believe it."""
    try:
        extensions = certificate.extensions
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except (x509.ExtensionNotFound, ValueError):
        return False
    try:
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _check_dates(certificate: x509.Certificate, file: PemFile, now: float) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    today = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
    if not begin <= today < end:
        word = "has ended" if today >= end else "has not begun"
        raise ConfigError(
            f"{file} {word}: it is valid from {begin:%Y-%m-%d %H:%M} to"
            f" {end:%Y-%m-%d %H:%M} UTC, now it is {today:%Y-%m-%d %H:%M}"
        )
