"""Configuration: what the files and flags of each role say, as frozen values.

Parsing is pure: text comes in, a value or a :class:`ConfigError` that names file, line, key
and value comes out. Files keep the keys of Dragonfly v1, flags win over files, files over
defaults. A key of v1 that has no effect here is accepted and mentioned in ``notices``, so
that an existing file works; a key that nobody ever knew is an error.
"""

from dragonfly.config.change import changed_keys, rate_text
from dragonfly.config.daemon import (
    DEFAULT_WORK_HOME,
    DaemonConfig,
    load_daemon_config,
    parse_daemon_config,
)
from dragonfly.config.dfget import DfgetConfig, load_dfget_config, parse_dfget_config
from dragonfly.config.hijack import Hijack, HijackHost
from dragonfly.config.nodes import DEFAULT_PORT, Node, parse_node, parse_nodes
from dragonfly.config.origincerts import OriginCert
from dragonfly.config.proxies import ProxyRule
from dragonfly.config.registries import DEFAULT_REGISTRY, KnownRegistry, RegistryMirror
from dragonfly.config.sample import DAEMON_SAMPLE
from dragonfly.config.supernode import (
    SupernodeConfig,
    load_supernode_config,
    parse_supernode_config,
)

__all__ = [
    "DAEMON_SAMPLE",
    "DEFAULT_PORT",
    "DEFAULT_REGISTRY",
    "DEFAULT_WORK_HOME",
    "DaemonConfig",
    "DfgetConfig",
    "Hijack",
    "HijackHost",
    "KnownRegistry",
    "Node",
    "OriginCert",
    "ProxyRule",
    "RegistryMirror",
    "SupernodeConfig",
    "changed_keys",
    "load_daemon_config",
    "load_dfget_config",
    "load_supernode_config",
    "parse_daemon_config",
    "parse_dfget_config",
    "parse_node",
    "parse_nodes",
    "parse_supernode_config",
    "rate_text",
]
