"""Control messages as JSON and back.

cattrs does the walking: it checks every field's type against the class and names the path
of what is wrong; unknown fields are accepted, so that newer peers can talk to older
supernodes.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from cattrs import Converter, transform_error
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from dragonfly.control.messages import (
    BASE64,
    AnnounceAnswer,
    Announced,
    AnnounceRequest,
    DirectAnswer,
    Neighbour,
    Rates,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.errors import BadControlMessage

__all__ = ["MESSAGE_LIMIT", "from_json", "register_answer", "to_json"]

MESSAGE_LIMIT = 1024 * 1024
"""Bytes of a control message: a bitfield of 2**21 pieces is 342 KiB of base64, headers are
bounded by the servers, and the rest is small."""

_TERSE = {Announced, AnnounceAnswer, AnnounceRequest, Neighbour, Rates, RegisterAnswer}
_TERSE |= {RegisterRequest}
"""Messages without what is as by default: of an announce that is a third, of its answer half."""

_T = TypeVar("_T")


def to_json(message: object) -> bytes:
    """Give a message as one line of JSON, newline at the end."""
    return json.dumps(_converter.unstructure(message), separators=(",", ":")).encode() + b"\n"


def from_json(kind: type[_T], data: bytes, limit: int = MESSAGE_LIMIT) -> _T:
    """Read a message of class ``kind``.

    :raises BadControlMessage: longer than ``limit`` bytes, not JSON, or a field is missing
        or of the wrong type; the text names the field.
    """
    return _structure(kind, _load(data, limit))


def register_answer(data: bytes, limit: int = MESSAGE_LIMIT) -> RegisterAnswer | DirectAnswer:
    """Read either answer to a registration.

    :raises BadControlMessage: as :func:`from_json`.
    """
    loaded = _load(data, limit)
    if isinstance(loaded, dict) and loaded.get("direct"):
        return _structure(DirectAnswer, loaded)
    return _structure(RegisterAnswer, loaded)


def _load(data: bytes, limit: int) -> Any:
    if len(data) > limit:
        raise BadControlMessage(f"a message of {len(data)} bytes, at most {limit} are allowed")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadControlMessage(f"not JSON: {error}") from None


def _structure(kind: type[_T], loaded: Any) -> _T:
    if not isinstance(loaded, dict):
        raise BadControlMessage(f"a message is an object, not {type(loaded).__name__}")
    try:
        return _converter.structure(loaded, kind)
    except Exception as error:  # noqa: BLE001 - cattrs raises groups of whatever went wrong
        problems = "; ".join(transform_error(error, path="message"))
        raise BadControlMessage(f"{kind.__name__}: {problems}") from None


# -- what cattrs does not know by itself -----------------------------------------------


def _text(value: Any, _: Any = None) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, not {type(value).__name__}")
    if not value.isascii():
        value.encode()  # JSON can name halves of a character, which nothing can send on
    return value


def _whole(value: Any, _: Any = None) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected a whole number, not {type(value).__name__}")
    if not -(2**63) <= value < 2**64:
        raise ValueError(f"{value} is out of range")
    return value


def _number(value: Any, _: Any = None) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"expected a number, not {type(value).__name__}")
    number = float(value)
    if number - number != 0:
        raise ValueError(f"{value} is not finite")
    return number


def _truth(value: Any, _: Any = None) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, not {type(value).__name__}")
    return value


def _hexadecimal(value: Any, _: Any = None) -> bytes:
    raw = bytes.fromhex(_text(value))
    if len(raw) != 32 or len(value) != 64:
        raise ValueError(f"expected 64 hex digits, got {len(value)} characters")
    return raw


def _pair(value: Any, _: Any = None) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError("expected a list of two strings")
    return _text(value[0]), _text(value[1])


def _is_list(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is list


def _list_hook(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    """As cattrs does it, but it would take a string or an object for a list."""
    walk = list_structure_factory(kind, converter)

    def structure(value: Any, wanted: Any) -> Any:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, not {type(value).__name__}")
        return walk(value, wanted)

    return structure


def _base64(value: Any, _: Any = None) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None


def _base64_list(value: Any, _: Any = None) -> list[bytes]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, not {type(value).__name__}")
    return [_base64(item) for item in value]


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _to_base64_list(value: list[bytes]) -> list[str]:
    return [_to_base64(item) for item in value]


def _overrides(kind: Any) -> dict[str, Any]:
    """Name the fields of a class that are base64."""
    found = {}
    for field in attrs.fields(kind):
        if BASE64 in field.metadata:
            many = "list" in str(field.type)
            found[field.name] = override(
                struct_hook=_base64_list if many else _base64,
                unstruct_hook=_to_base64_list if many else _to_base64,
            )
    return found


def _make_converter() -> Converter:
    converter = Converter()
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _whole)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(bool, _truth)
    converter.register_structure_hook(bytes, _hexadecimal)
    converter.register_unstructure_hook(bytes, bytes.hex)
    converter.register_structure_hook_func(lambda kind: kind == tuple[str, str], _pair)
    converter.register_structure_hook_factory(_is_list, _list_hook)
    converter.register_structure_hook_factory(
        attrs.has, lambda kind: make_dict_structure_fn(kind, converter, **_overrides(kind))
    )
    converter.register_unstructure_hook_factory(
        attrs.has,
        lambda kind: make_dict_unstructure_fn(
            kind, converter, _cattrs_omit_if_default=kind in _TERSE, **_overrides(kind)
        ),
    )
    return converter


_converter = _make_converter()
