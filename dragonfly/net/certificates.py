"""What all certificates that are made here have in common, and what identifies one; no reactor.

Keys are EC P-256: an RSA key takes a second to find, and these are made while somebody waits.
"""

from __future__ import annotations

import datetime
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

__all__ = ["BACKDATED", "builder", "common_name", "new_key", "pem_of", "pin_of"]

BACKDATED = datetime.timedelta(days=1)
"""For clients whose clock is behind."""


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key."""
    return ec.generate_private_key(ec.SECP256R1())


def common_name(text: str) -> x509.Name:
    """Make a name of nothing but that.

    :raises ValueError: it has not 1 to 64 characters.
    """
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def builder(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    issuer: x509.Name | None = None,
    begin: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    """Begin a certificate, with a random serial number.

    :param issuer: ``None``: it is to be signed by its own key.
    """
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give a key as it is kept in files: not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pin_of(certificate: x509.Certificate) -> bytes:
    """Return the SHA-256 of the certificate's public key (SubjectPublicKeyInfo, DER)."""
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()
