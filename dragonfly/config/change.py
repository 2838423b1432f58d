"""What differs between two configurations of one role."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import attrs

__all__ = ["changed_keys", "rate_text"]


def changed_keys(old: Any, new: Any, *, but: Container[str] = ()) -> list[str]:
    """Name the fields in which two configurations of the same class differ."""
    names = [field.name for field in attrs.fields(type(old)) if field.name not in but]
    return [name for name in names if getattr(old, name) != getattr(new, name)]


def rate_text(rate: int | None) -> str:
    """A rate as a log shows it."""
    return "no limit" if rate is None else f"{rate} bytes per second"
