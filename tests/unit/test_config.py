"""Configuration files and node addresses: what is read, and what an error names."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonfly.config import (
    DfgetConfig,
    Node,
    SupernodeConfig,
    load_dfget_config,
    load_supernode_config,
    parse_dfget_config,
    parse_node,
    parse_nodes,
    parse_supernode_config,
)
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


def test_supernode_defaults() -> None:
    """Rates are unlimited and both limits are 8, as measured, not as in v1."""
    config = load_supernode_config(None, {})
    assert config == SupernodeConfig()
    assert (config.port, config.download_port) == (8002, 8001)
    assert (config.up_limit, config.down_limit, config.origin_rate) == (8, 12, None)


def test_a_v1_supernode_yml_works(tmp_path: Path) -> None:
    """Moving over must not need another file; what has no effect is said."""
    file = tmp_path / "supernode.yml"
    file.write_text(
        "base:\n  listenPort: 9002\n  downloadPort: 9001\n  homeDir: /srv/df\n"
        "  advertiseIP: 10.1.2.3\n  peerUpLimit: 5\n  peerDownLimit: 4\n"
        "  eliminationLimit: 6\n  maxBandwidth: 200M\n  systemReservedBandwidth: 20M\n"
        "  failAccessInterval: 3m0s\n  taskExpireTime: 1m30s\n  peerGCDelay: 500ms\n"
        "  debug: true\n  gcInitialDelay: 6s\n  youngGCThreshold: 100G\n"
    )
    config = load_supernode_config(file, {"port": None})
    assert config == SupernodeConfig(
        port=9002,
        download_port=9001,
        home_dir="/srv/df",
        advertise_ip="10.1.2.3",
        up_limit=5,
        down_limit=4,
        max_bandwidth=200 << 20,
        system_bandwidth=20 << 20,
        fail_access_interval_s=180.0,
        task_expire_time_s=90.0,
        peer_gc_delay_s=0.5,
        debug=True,
        notices=config.notices,
    )
    assert config.origin_rate == 180 << 20
    assert [notice.rpartition(": ")[2].split()[0] for notice in config.notices] == [
        "eliminationLimit",
        "gcInitialDelay",
        "youngGCThreshold",
    ]


def test_flags_win_over_the_file() -> None:
    """What was typed last is what was meant."""
    config = parse_supernode_config(
        "base: {listenPort: 1, peerUpLimit: 2}", flags={"port": "0", "up-limit": None}
    )
    assert (config.port, config.up_limit) == (0, 2)


@pytest.mark.parametrize(
    ("text", "flags", "parts"),
    [
        ("base:\n  listenPrt: 1\n", {}, ["s.yml:2", "listenPrt", "listenPort"]),
        ("bas:\n  listenPort: 1\n", {}, ["s.yml:1", "bas"]),
        ("base:\n  zzz: 1\n", {}, ["s.yml:2", "zzz"]),
        ("base: 7\n", {}, ["s.yml:1", "base"]),
        ("base:\n  listenPort: 65536\n", {}, ["s.yml:2", "listenPort", "65536"]),
        ("base:\n  advertiseIP: myhost\n", {}, ["s.yml:2", "advertiseIP", "myhost"]),
        ("base:\n  debug: maybe\n", {}, ["s.yml:2", "debug", "maybe"]),
        ("base:\n  homeDir: ''\n", {}, ["s.yml:2", "homeDir"]),
        ("base:\n  taskExpireTime: 3 minutes\n", {}, ["s.yml:2", "taskExpireTime"]),
        ("", {"max-bandwidth": "20X"}, ["--max-bandwidth", "20X"]),
        ("", {"port": "http"}, ["--port", "http"]),
        ("base: {maxBandwidth: 10M, systemReservedBandwidth: 10M}", {}, ["maxBandwidth"]),
    ],
)
def test_a_wrong_supernode_value_is_named(
    text: str, flags: dict[str, str], parts: list[str]
) -> None:
    """File, line, key and value, or the flag."""
    with pytest.raises(ConfigError) as caught:
        parse_supernode_config(text, "s.yml", flags)
    for part in parts:
        assert part in str(caught.value)
