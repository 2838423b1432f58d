"""Files of a hub of models: as its client asks for them, without and with a rule."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from dragonfly.daemon.blobs.models import HTTP_MAX
from dragonfly.daemon.routing.rules import Rule
from tests.doubles.hub import REPO, Hub
from tests.doubles.manual import documented_rules
from tests.doubles.replaying import Scene

WEIGHTS = random.Random(8).randbytes(1_500_000)
NEWER = WEIGHTS[1:]
CONFIG = b'{"model_type": "llama"}'
FILES = {"config.json": CONFIG, "model.safetensors": WEIGHTS}
ONE, TWO = "1" * 40, "2" * 40
RULE = Rule(regx="/resolve/")
CLIENT = ("User-Agent: unknown/None; hf_hub/1.4.0; python/3.11.2", "Accept-Encoding: identity")
XET = ("x-xet-hash", "link")


def behind(url: str) -> str:
    """As ``HF_ENDPOINT=http://127.0.0.1:65001/hub/https://huggingface.co`` has it."""
    return f"/hub/{url}"


def resolve(hub: Hub, name: str, *, revision: str = "main", repo: str = REPO) -> str:
    """Where a file is."""
    return behind(hub.url(f"/{repo}/resolve/{revision}/{name}"))


@pytest_twisted.async_yield_fixture
async def hub() -> AsyncIterator[Hub]:
    """A hub with one model, open to everybody."""
    running = await Hub.started(reactor)
    running.commit(ONE, FILES)
    yield running
    await running.stop()


@pytest_twisted.async_yield_fixture
async def gated() -> AsyncIterator[Hub]:
    """One for those who may."""
    running = await Hub.started(reactor, token="hf_right")
    running.commit(ONE, FILES)
    yield running
    await running.stop()


def test_the_rule_of_the_manual() -> None:
    """It names files, of all kinds of repositories, and nothing else."""
    (rule,) = documented_rules("models.rst")
    hub = "https://huggingface.co"
    for path in ("org/model/resolve/main/a.bin", "datasets/org/data/resolve/v1/b/c.parquet"):
        assert rule.matches(f"{hub}/{path}")
    for path in ("api/models/org/model/tree/main", "org/model", "login?next=/a/b/resolve/main/c"):
        assert not rule.matches(f"{hub}/{path}")


@ensureDeferred
async def test_with_a_rule(scene: Scene, hub: Hub) -> None:
    """The client learns what the redirect says, but not of the redirect, nor of Xet."""
    mirror = scene.add_mirror(RULE)
    head = await mirror.head(resolve(hub, "model.safetensors"), *CLIENT)
    assert head.status == 200
    assert head.headers["x-repo-commit"] == ONE
    assert head.headers["x-linked-etag"] == f'"{hashlib.sha256(WEIGHTS).hexdigest()}"'
    assert head.headers["x-linked-size"] == head.headers["content-length"] == str(len(WEIGHTS))
    assert not {"location", *XET} & set(head.headers)
    tasks = set()
    for _ in range(2):
        hub.sign_anew()
        got = await mirror.get(resolve(hub, "model.safetensors"), *CLIENT)
        assert (got.status, got.complete, got.body) == (200, True, WEIGHTS)
        tasks.add(got.headers["x-dragonfly-task-id"])
    assert len(tasks) == 1
    assert sum(hub.cdn.sent(path) for path in hub.cdn.pages) == len(WEIGHTS)
    assert mirror.notes[-1].sources["cache"] == len(WEIGHTS)


@ensureDeferred
async def test_a_small_file(scene: Scene, hub: Hub) -> None:
    """The hub's own answer, with its entity tag, which is the name in the client's cache."""
    mirror = scene.add_mirror(RULE)
    head = await mirror.head(resolve(hub, "config.json"), *CLIENT)
    assert head.headers["x-repo-commit"] == ONE
    assert head.headers["etag"] == f'"{hashlib.sha1(CONFIG, usedforsecurity=False).hexdigest()}"'
    assert head.headers["content-length"] == str(len(CONFIG))
    assert (await mirror.get(resolve(hub, "config.json"), *CLIENT)).body == CONFIG


@ensureDeferred
@pytest.mark.parametrize("name", list(FILES))
async def test_a_renamed_repository(scene: Scene, hub: Hub, name: str) -> None:
    """Its relative redirect is followed, and what the next answer says counts."""
    mirror = scene.add_mirror(RULE)
    hub.rename("org/old", name)
    head = await mirror.head(resolve(hub, name, repo="org/old"), *CLIENT)
    assert (head.status, head.headers["x-repo-commit"]) == (200, ONE)
    assert ("x-linked-size" in head.headers) is (name == "model.safetensors")
    assert (await mirror.get(resolve(hub, name, repo="org/old"), *CLIENT)).body == FILES[name]


@ensureDeferred
async def test_a_newer_commit(scene: Scene, hub: Hub) -> None:
    """``main`` is what it is now; the older commit is what it was."""
    mirror = scene.add_mirror(RULE)
    assert (await mirror.get(resolve(hub, "model.safetensors"), *CLIENT)).body == WEIGHTS
    hub.commit(TWO, {"config.json": CONFIG, "model.safetensors": NEWER})
    newer = await mirror.get(resolve(hub, "model.safetensors"), *CLIENT)
    assert (newer.body, newer.headers["x-repo-commit"]) == (NEWER, TWO)
    older = await mirror.get(resolve(hub, "model.safetensors", revision=ONE), *CLIENT)
    assert (older.body, older.headers["x-repo-commit"]) == (WEIGHTS, ONE)


@ensureDeferred
async def test_a_download_is_continued(scene: Scene, hub: Hub) -> None:
    """As the client does after a time-out."""
    mirror = scene.add_mirror(RULE)
    rest = await mirror.get(resolve(hub, "model.safetensors"), *CLIENT, "Range: bytes=1000000-")
    assert (rest.status, rest.body) == (206, WEIGHTS[1_000_000:])


@ensureDeferred
async def test_what_is_not_there(scene: Scene, hub: Hub) -> None:
    """The client remembers for which commit."""
    mirror = scene.add_mirror(RULE)
    absent = await mirror.head(resolve(hub, "absent.bin"), *CLIENT)
    assert (absent.status, absent.headers["x-repo-commit"]) == (404, ONE)
    assert absent.headers["x-error-code"] == "EntryNotFound"


@ensureDeferred
async def test_without_a_rule(scene: Scene, hub: Hub) -> None:
    """The redirect is the client's to follow, past us; one on the hub comes back to us."""
    head = await scene.mirror.head(resolve(hub, "model.safetensors"), *CLIENT)
    assert head.status == 302
    assert head.headers["location"].startswith(hub.cdn.url("/repos/", host="localhost"))
    assert set(XET) < set(head.headers)
    hub.rename("org/old", "config.json")
    moved = await scene.mirror.head(resolve(hub, "config.json", repo="org/old"), *CLIENT)
    assert moved.headers["location"] == resolve(hub, "config.json")


@ensureDeferred
async def test_what_only_xet_fetches(scene: Scene, hub: Hub) -> None:
    """Of files that the client does not fetch over HTTP the hub's own answer is passed on."""
    mirror = scene.add_mirror(RULE)
    page = hub.api.pages[f"/{REPO}/resolve/main/model.safetensors"]
    page.headers["X-Linked-Size"] = str(HTTP_MAX + 1)
    head = await mirror.head(resolve(hub, "model.safetensors"), *CLIENT)
    assert head.status == 302
    assert {"location", *XET} < set(head.headers)
    assert "Xet" in mirror.notes[-1].why


@ensureDeferred
async def test_a_gated_model(scene: Scene, gated: Hub) -> None:
    """For whom the hub says so, each time; the storage never sees the token."""
    mirror = scene.add_mirror(RULE)
    path = resolve(gated, "model.safetensors")
    right, wrong = "Authorization: Bearer hf_right", "Authorization: Bearer hf_wrong"
    assert (await mirror.head(path, *CLIENT, right)).status == 200
    assert (await mirror.get(path, *CLIENT, right)).body == WEIGHTS
    for lines in ((), (wrong,)):
        assert (await mirror.head(path, *CLIENT, *lines)).status == 401
        assert (await mirror.get(path, *CLIENT, *lines)).status == 401
    assert gated.cdn.log
    assert not any("authorization" in entry.headers for entry in gated.cdn.log)


@ensureDeferred
async def test_lists_of_files(scene: Scene, hub: Hub) -> None:
    """The next page is behind the prefix, too."""
    path = behind(hub.url(f"/api/models/{REPO}/tree/main"))
    first = await scene.mirror.get(f"{path}?recursive=True&expand=False", *CLIENT)
    link = first.headers["link"].partition(">")[0].removeprefix("<")
    assert link.startswith("http://mirror/hub/http://127.0.0.1:")
    second = await scene.mirror.get(link.removeprefix("http://mirror"), *CLIENT)
    assert b"model.safetensors" in first.body + second.body
    assert first.body != second.body
