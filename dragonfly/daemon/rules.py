"""Which requests go through the swarm; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

import attrs

from dragonfly.errors import ConfigError

__all__ = ["LAYERS", "Rule", "Rules", "path_of"]

LAYERS = r"^.+/blobs/sha256.*$"
"""The path of a blob in a registry's API: layers, and the configurations of images."""


def _compiled(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigError(f"rule {text!r} is not a regular expression: {error}") from None


@attrs.frozen(kw_only=True)
class Rule:
    """What happens to requests for a path that matches.

    :ivar regx: searched for in the path, percent-decoded and without the query.
    :ivar direct: they go straight on; else through the swarm.
    """

    regx: re.Pattern[str] = attrs.field(converter=_compiled)
    direct: bool = False

    def matches(self, path: str) -> bool:
        """Whether it is about ``path``."""
        return self.regx.search(path) is not None


class Rules:
    """Rules in their order: the first that matches counts; where none does, it is direct.

    :raises ConfigError: an expression cannot be read; the text shows it.
    """

    def __init__(self, rules: Iterable[Rule] | None = None) -> None:
        self._rules = (Rule(regx=LAYERS),) if rules is None else tuple(rules)

    def through_swarm(self, method: bytes, target: bytes) -> bool:
        """Whether that request goes through the swarm: only GETs ever do."""
        if method != b"GET":
            return False
        path = path_of(target)
        rule = next((each for each in self._rules if each.matches(path)), None)
        return rule is not None and not rule.direct


def path_of(target: bytes) -> str:
    """The path of a request target in origin-form, percent-decoded, without the query."""
    return unquote(target.partition(b"?")[0].decode("latin-1"))
