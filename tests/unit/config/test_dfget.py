"""``dfget.yml``: what is read, and what an error names."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonfly.config import DfgetConfig, Node, load_dfget_config, parse_dfget_config
from dragonfly.errors import ConfigError


def test_dfget_yml_is_read() -> None:
    """The keys and units of v1."""
    text = "nodes:\n- a:8002=1\n- '[::1]:1'\nlocalLimit: 20M\nminRate: 1k\nclientQueueSize: 6\n"
    assert parse_dfget_config(text) == DfgetConfig(
        nodes=(Node("a"), Node("::1", 1)), local_limit=20 << 20, min_rate=1024, client_queue=6
    )


def test_one_line_of_nodes_is_enough() -> None:
    """People write the list as they would on the command line."""
    assert parse_dfget_config("nodes: a,b:1").nodes == (Node("a"), Node("b", 1))


@pytest.mark.parametrize("text", ["", "# nothing\n", "nodes:\n"])
def test_an_empty_dfget_yml_says_nothing(text: str) -> None:
    """An empty file is not a broken one."""
    assert parse_dfget_config(text) == DfgetConfig()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("nodes: [a]\nlocalLimt: 1M\n", [":2", "localLimt", "localLimit"]),
        ("totalLimit: 20X\n", [":1", "totalLimit", "20X"]),
        ("nodes:\n- a\n- b:0\n", [":3", "nodes", "b:0"]),
        ("nodes:\n- {a: 1}\n", [":2", "nodes"]),
        ("minRate: [1]\n", [":1", "minRate"]),
        ("minRate: 1\nminRate: 2\n", [":2", "minRate", "twice"]),
        ("clientQueueSize: 0\n", [":1", "clientQueueSize"]),
        ("- a\n", [":1", "mapping"]),
        ("nodes: [a\n", ["not YAML"]),
        ("a: b: c\n", [":1", "not YAML"]),
        ("? [a]\n: 1\n", [":1", "not a word"]),
        ("\x00", ["not YAML"]),
        ("a: " + "[" * 5000, ["too deeply"]),
    ],
)
def test_an_error_names_line_key_and_value(text: str, parts: list[str]) -> None:
    """Whoever wrote the file must find the place."""
    with pytest.raises(ConfigError) as caught:
        parse_dfget_config(text, "dfget.yml")
    for part in ["dfget.yml", *parts]:
        assert part in str(caught.value)


def test_files_are_read_from_disk(tmp_path: Path) -> None:
    """The loaders name the file they read."""
    file = tmp_path / "dfget.yml"
    file.write_text("nodes: a")
    assert load_dfget_config(str(file)).nodes == (Node("a"),)
    with pytest.raises(ConfigError, match=r"absent\.yml"):
        load_dfget_config(tmp_path / "absent.yml")
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="cannot read"):
        load_dfget_config(file)
