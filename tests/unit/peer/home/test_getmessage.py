"""A get that cannot be understood says why."""

from __future__ import annotations

from typing import Any

import pytest

from dragonfly.errors import (
    ConfigError,
)
from dragonfly.peer.home.getmessage import parse_get

GET = {"op": "get", "url": "http://o/f"}


@pytest.mark.parametrize(
    "field",
    [
        {"url": 5},
        {"url": True},
        {"headers": "A: b"},
        {"headers": [["A"]]},
        {"headers": [["A", 5]]},
        {"filters": [5]},
        {"locallimit": "20M"},
        {"locallimit": True},
        {"totallimit": 0},
        {"clientqueue": -1},
        {"timeout": "1s"},
        {"digest": "nonsense"},
        {"nodes": ["a:b:c:d"]},
    ],
    ids=str,
)
def test_a_wrong_field_is_named(field: dict[str, Any]) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(ConfigError, match=r".+"):
        parse_get({**GET, **field})
