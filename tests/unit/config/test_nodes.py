"""Addresses of supernodes: every spelling, and what a wrong one is told."""

from __future__ import annotations

import pytest

from dragonfly.config import Node, parse_node, parse_nodes
from dragonfly.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("host", Node("host")),
        (" host ", Node("host")),
        ("host:9000", Node("host", 9000)),
        ("host=3", Node("host", weight=3)),
        ("host:8002=2", Node("host", 8002, 2)),
        ("10.0.0.1:1", Node("10.0.0.1", 1)),
        ("[::1]", Node("::1")),
        ("[2001:DB8:0::1]:8002=7", Node("2001:db8::1", 8002, 7)),
    ],
)
def test_a_node_is_read(text: str, node: Node) -> None:
    """Every spelling that v1 had, and IPv6 in brackets."""
    assert parse_node(text) == node


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":8002",
        "host:",
        "host:0",
        "host:65536",
        "host:x",
        "host:80:02",
        "::1",
        "[::1",
        "[::1]8002",
        "[::1]:",
        "[host]:1",
        "host=0",
        "host=",
        "host=1001",
        "http://host:8002",
        "user@host",
        "a b",
        "host:²",
    ],
)
def test_a_wrong_node_is_refused(text: str) -> None:
    """A typing error must not become a host name that nobody can resolve."""
    with pytest.raises(ConfigError):
        parse_node(text)


def test_a_node_prints_as_an_address() -> None:
    """URLs and known_supernodes are made from it."""
    assert str(Node("host", 1)) == "host:1"
    assert str(Node("::1", 2)) == "[::1]:2"


def test_a_list_of_nodes_may_have_empty_entries() -> None:
    """A trailing comma is no error in v1 either."""
    assert parse_nodes("a, b=2,,") == (Node("a"), Node("b", weight=2))
