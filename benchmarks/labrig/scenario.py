"""What is measured: hosts, rates, content, and what goes wrong meanwhile. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

import attrs

from labrig.bound import Taker, bytes_per_s, fluid_bound, native_bound

__all__ = ["SCENARIOS", "Host", "Scenario"]

MIB = 1 << 20


@attrs.frozen(kw_only=True)
class Host:
    """One host of a run.

    :ivar role: ``full``, or what is special about it: ``slow``, ``killed`` or ``stalled``
        half way, ``lying`` about the content.
    :ivar counted: whether the run waits for it.
    """

    name: str
    address: str
    mbit: float
    starts_s: float = 0.0
    role: str = "full"

    @property
    def counted(self) -> bool:
        """Whether the run waits for it."""
        return self.role in ("full", "slow")


@attrs.frozen(kw_only=True)
class Scenario:
    """Rates are Mb/s on the wire, each way.

    :ivar cold: the supernode has nothing yet.
    :ivar slow: so many hosts have a quarter of the rate.
    :ivar arrive_s: hosts come one after another within that time.
    :ivar killed: so many hosts are killed half way; ``stalled``: stopped.
    :ivar lying: so many hosts give others wrong bytes.
    """

    name: str
    hosts: int
    host_mbit: float
    cdn_mbit: float
    origin_mbit: float
    size_mib: float
    cold: bool = False
    slow: int = 0
    arrive_s: float = 0.0
    killed: int = 0
    stalled: int = 0
    lying: int = 0

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return int(self.size_mib * MIB)

    def cast(self, seed: int) -> list[Host]:
        """The hosts; ``seed`` draws those that are special."""
        numbers = list(range(self.hosts))
        random.Random(seed).shuffle(numbers)
        roles = [
            role
            for role in ("slow", "killed", "stalled", "lying")
            for _ in range(getattr(self, role))
        ]
        special = dict(zip(numbers, roles, strict=False))
        return [self._host(number, special.get(number, "full")) for number in range(self.hosts)]

    def _host(self, number: int, role: str) -> Host:
        return Host(
            name=f"h{number}",
            address=f"10.77.{1 + number // 250}.{1 + number % 250}",
            mbit=self.host_mbit / 4 if role == "slow" else self.host_mbit,
            starts_s=self.arrive_s * number / self.hosts,
            role=role,
        )

    def bound_s(self, hosts: Sequence[Host]) -> float:
        """The fluid bound for those who take part, whether the run waits for them or not."""
        origin = bytes_per_s(self.origin_mbit) if self.cold else None
        return fluid_bound(self.size, bytes_per_s(self.cdn_mbit), _takers(hosts), origin)

    def native_s(self, hosts: Sequence[Host]) -> float:
        """The same if everybody pulls from the origin."""
        return native_bound(self.size, bytes_per_s(self.origin_mbit), _takers(hosts))


def _takers(hosts: Sequence[Host]) -> list[Taker]:
    return [Taker(bytes_per_s(host.mbit), host.starts_s) for host in hosts]


def _equal(name: str, hosts: int, mbit: float, size_mib: float, **more: float) -> Scenario:
    return Scenario(
        name=name,
        hosts=hosts,
        host_mbit=mbit,
        cdn_mbit=more.pop("cdn_mbit", mbit),
        origin_mbit=more.pop("origin_mbit", mbit),
        size_mib=size_mib,
        **more,  # type: ignore[arg-type]
    )


def _table() -> dict[str, Scenario]:
    found = [
        _equal("small", 4, 20, 8),
        _equal("A", 16, 50, 64, cdn_mbit=100, origin_mbit=100),
        _equal("B", 32, 25, 32),
        _equal("C", 64, 10, 32, cold=True),
        _equal("D", 200, 5, 10, cold=True),
        _equal("mixed", 32, 25, 32, slow=3),
        _equal("arriving", 32, 25, 32, arrive_s=10.0),
        _equal("killed", 32, 25, 32, killed=3),
        _equal("stalled", 32, 25, 32, stalled=1),
        _equal("lying", 32, 25, 32, lying=1),
    ]
    table = {each.name: each for each in found}
    for name in ("small", "A", "B"):
        table[f"{name}-cold"] = attrs.evolve(table[name], name=f"{name}-cold", cold=True)
    return table


SCENARIOS = _table()
"""By name."""
