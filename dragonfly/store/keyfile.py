"""The file of a home's key."""

from __future__ import annotations

from pathlib import Path

from dragonfly.errors import HomeUnusable, StoreError
from dragonfly.signatures import SigningKey
from dragonfly.store.files import read_or_create_secret

__all__ = ["key_in"]


def key_in(path: Path) -> SigningKey:
    """The key in that file, made at first use, mode 0600.

    :raises HomeUnusable: it cannot be read or made, or is damaged.
    """
    try:
        raw = read_or_create_secret(path, lambda: SigningKey.generate().to_bytes(), 0o600)
        return SigningKey.from_bytes(raw)
    except (OSError, StoreError, ValueError) as error:
        raise HomeUnusable(f"cannot use the key {path}: {error}") from error
