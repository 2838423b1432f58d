"""dfdaemon is replaced by another while an engine pulls: the pull goes on in its one answer,
and no request is refused.

skopeo never continues a body that broke off, so a pull by skopeo that succeeds got its bytes
in one answer.
"""

from __future__ import annotations

import signal
import threading
import time
import urllib.request
from collections.abc import Iterator

import attrs
import pytest

from tests.e2e.rig.daemon import Dfdaemon
from tests.e2e.rig.depot import Depot
from tests.e2e.rig.files import MIB
from tests.e2e.rig.held import HeldSockets
from tests.e2e.rig.images import Image
from tests.e2e.rig.manager import ServiceManager
from tests.e2e.rig.scene import Scene, failed, gone

SIZE = 60 * MIB
# So the pull lasts longer than the swarm is kept for its sake.
RATE = "12M"
MIDDLE = SIZE // 6
REQUESTS = 20
NAMES = ("dfdaemon", "dfdaemon-status", "dfdaemon-peer")


@attrs.frozen(kw_only=True)
class Act:
    """An image of one large layer in a registry."""

    depot: Depot
    image: Image

    def host(self, name: str, held: HeldSockets | None = None, *flags: str) -> Dfdaemon:
        """Start a host that reads slowly."""
        depot = self.depot
        return Dfdaemon(
            depot.scene,
            name,
            depot.registry.url(),
            depot.supernode.node,
            flags=("--ratelimit", RATE, *flags),
            held=held,
        )


@pytest.fixture(scope="module")
def made(module_scene: Scene) -> Act:
    """One for all tests: they break no part of it."""
    depot = Depot.made(module_scene, hosts=0)
    image = depot.layout.image(depot.layer(SIZE), tag="app")
    depot.skopeo.push(depot.layout, "app", f"{depot.registry.netloc}/app:1")
    return Act(depot=depot, image=image)


@pytest.fixture
def act(made: Act, request: pytest.FixtureRequest) -> Iterator[Act]:
    """The same; the logs are shown if the test fails."""
    yield made
    if failed(request):
        print(made.depot.scene.logs())


class Asking:
    """Short requests, one after another, each on a connection of its own."""

    def __init__(self, url: str) -> None:
        self.answers: list[object] = []
        self._url = url
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        for _ in range(REQUESTS):
            try:
                with urllib.request.urlopen(self._url, timeout=60) as answer:
                    self.answers.append(answer.status)
            except OSError as error:
                self.answers.append(error)
            time.sleep(0.05)  # they are spread over the change

    def ended(self) -> list[object]:
        """What all of them were answered with."""
        self._thread.join(120)
        return self.answers


def went_on(host: Dfdaemon, act: Act) -> None:
    """Check that the layer came in one answer, part of it from the registry."""
    (layer,) = act.image.layers
    answers = [line for line in host.requests(layer.digest) if line.method == "GET"]
    assert [line.sent for line in answers] == [layer.size]
    assert answers[0].sources["registry"] > 0
    assert "leaves the swarm" in answers[0].why


@pytest.fixture
def held() -> Iterator[HeldSockets]:
    """The sockets of one host."""
    sockets = HeldSockets(NAMES)
    yield sockets
    sockets.close()


def test_a_restart_under_a_holder_of_its_sockets(act: Act, held: HeldSockets) -> None:
    """The second process starts when the first has ended; connections wait in between."""
    host = act.host("held", held)
    assert [host.port, host.pieces] == [held.ports[0], held.ports[2]]
    pull = act.depot.skopeo.pull(f"{host.netloc}/app:1")
    pull.until(MIDDLE)
    first = host.program
    first.send(signal.SIGTERM)
    asking = Asking(host.url("/v2/"))
    first.wait(60)
    host.start()
    assert asking.ended() == [200] * REQUESTS
    pull.right(act.image)
    went_on(host, act)
    host.stop()


def test_one_takes_over_from_another(act: Act) -> None:
    """Without a service manager; the first process ends when its last answer has, however long
    that takes."""
    host = act.host("taken", None, "--drainTime", "0s")
    port, first = host.port, host.program
    pull = act.depot.skopeo.pull(f"{host.netloc}/app:1")
    pull.until(MIDDLE)
    asking = Asking(host.url("/v2/"))
    host.start("--takeover")
    assert (host.port, host.program.code) == (port, None)
    assert first.code is None
    assert asking.ended() == [200] * REQUESTS
    pull.right(act.image)
    went_on(host, act)
    assert first.wait(30) == 0
    assert act.depot.curl.start(host.url("/v2/"), act.depot.scene.root / "v2").wait() == 0
    host.stop()


def test_upgrades_in_place(act: Act) -> None:
    """SIGUSR2, twice, while a pull goes on for longer than answers may when it is stopped."""
    host = act.host("upgraded", None, "--ratelimit", "7M", "--drainTime", "1s")
    port, first = host.port, host.program
    pull = act.depot.skopeo.pull(f"{host.netloc}/app:1")
    pull.until(MIDDLE)
    asking = Asking(host.url("/v2/"))
    host.upgrade()
    second = host.pid
    host.upgrade()
    assert asking.ended() == [200] * REQUESTS
    assert (pull.program.code, first.code, host.port) == (None, None, port)
    act.depot.scene.wait_until(lambda: gone(second), "end of the second, which has no answers")
    pull.right(act.image)
    went_on(host, act)
    assert first.wait(30) == 0
    assert act.depot.curl.get(host.url("/v2/")).status == 200
    host.end_upgraded()


@pytest.fixture
def manager(act: Act) -> Iterator[ServiceManager]:
    """One."""
    found = ServiceManager(act.depot.scene.root / "notify")
    yield found
    found.close()


def test_a_service_manager_follows(
    act: Act, manager: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hears of the next process from the one that it knows, which is silent from then on."""
    scene = act.depot.scene
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    host = act.host("followed")
    first = host.pid
    pull = act.depot.skopeo.pull(f"{host.netloc}/app:1")
    pull.until(MIDDLE)
    host.upgrade()
    second = host.pid
    scene.wait_until(lambda: (first, f"MAINPID={second}") in manager.heard, "word of it")
    told = manager.heard.index((first, f"MAINPID={second}"))
    pull.right(act.image)
    assert host.program.wait(30) == 0
    after = manager.heard[told + 1 :]
    assert [line for pid, line in after if pid == first] == ["WATCHDOG=1"]
    assert manager.said(second) == ["READY=1", "WATCHDOG=1"]
    host.end_upgraded()
    assert manager.said(first) == ["READY=1", "WATCHDOG=1", f"MAINPID={second}"]
    assert manager.said(second) == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_an_upgrade_that_cannot_start(act: Act) -> None:
    """The old one goes on; the log says why."""
    host = act.host("stays")
    host.break_config("nonsense: [")
    host.program.send(signal.SIGUSR2)
    act.depot.scene.wait_until(
        lambda: "the new dfdaemon ended with exit code 1" in host.program.text(), "its end"
    )
    assert "stays.yml:1: not YAML" in host.program.text()
    assert act.depot.curl.get(host.url("/v2/")).status == 200
    host.break_config("{}")
    host.upgrade()
    assert host.program.wait(30) == 0
    host.end_upgraded()


def test_a_second_signal_ends_it_at_once(act: Act) -> None:
    """Whatever is under way, and without a traceback."""
    host = act.host("hurried")
    pull = act.depot.skopeo.pull(f"{host.netloc}/app:1")
    pull.until(MIDDLE)
    host.program.send(signal.SIGTERM)
    act.depot.scene.wait_until(lambda: "(TCP Port" in host.program.text(), "end of listening")
    host.program.send(signal.SIGTERM)
    assert host.program.wait(5) == -signal.SIGTERM
    assert "Traceback" not in host.program.text()
    pull.failed()
