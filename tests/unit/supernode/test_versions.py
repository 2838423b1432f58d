"""Which registrations share a task: as many as get the same bytes, and no others."""

from __future__ import annotations

from dragonfly.supernode.admission import Admitted
from dragonfly.supernode.questions import Access
from dragonfly.supernode.versions import NUMBERS_MAX, SHARED_S, Versions
from dragonfly.task.identity import name_of
from tests.doubles.reader import make_reply

URL = "http://origin.example/f"
NAME = name_of(URL)


def _admitted(*, length: int | None = 5, audience: str = "", **headers: str | None) -> Admitted:
    access = Access(url=URL, key=b"k" * 32)
    reply = make_reply(length=length, **headers)
    return Admitted(reply=reply, access=access, public=True, audience=audience)


def test_an_entity_tag_decides_alone() -> None:
    """As long as it stays it is one task, and another one when it changes."""
    versions = Versions(lambda _: False)
    first = versions.task(NAME, _admitted(etag='"1"'), 100.0)
    assert versions.task(NAME, _admitted(etag='"1"'), 1e6) == first
    assert versions.task(NAME, _admitted(etag='"2"'), 100.0) != first


def test_what_must_not_be_shared_is_no_task() -> None:
    """The origin said so."""
    versions = Versions(lambda _: False)
    assert versions.task(NAME, _admitted(etag='"1"', cache_control="private"), 0.0) is None


def test_without_validators_a_crowd_shares_one_fetch() -> None:
    """Those who come within seconds share; later ones get the content as it is then."""
    versions = Versions(lambda _: False)
    first = versions.task(NAME, _admitted(), 100.0)
    assert versions.task(NAME, _admitted(), 100.0 + SHARED_S - 0.1) == first
    second = versions.task(NAME, _admitted(), 100.0 + SHARED_S)
    assert second != first
    assert versions.task(NAME, _admitted(), 101.0 + SHARED_S) == second


def test_a_fetch_under_way_is_shared_however_long_it_takes() -> None:
    """Otherwise a large file would be begun anew every few seconds while hosts arrive."""
    running: set[bytes] = set()
    versions = Versions(running.__contains__)
    first = versions.task(NAME, _admitted(), 100.0)
    assert first is not None
    running.add(first)
    assert versions.task(NAME, _admitted(), 1000.0) == first
    running.clear()
    assert versions.task(NAME, _admitted(), 1000.0) != first


def test_a_change_that_shows_is_seen_at_once() -> None:
    """Another length, weak tag or date: not the same bytes, whatever the time."""
    versions = Versions(lambda _: True)
    seen = {
        versions.task(NAME, _admitted(**facts), 100.0)
        for facts in (
            {},
            {"length": 6},
            {"length": None},
            {"etag": 'W/"1"'},
            {"length": None, "last_modified": "Mon, 01 Jan 2024 00:00:00 GMT"},
        )
    }
    assert len(seen) == 5


def test_audiences_are_kept_apart() -> None:
    """Without a validator nobody knows whether two callers see the same."""
    versions = Versions(lambda _: True)
    assert versions.task(NAME, _admitted(audience="a"), 0.0) != versions.task(
        NAME, _admitted(audience="b"), 0.0
    )


def test_numbers_never_come_again_and_memory_is_bounded() -> None:
    """The clock may stand still; names may be invented without end."""
    versions = Versions(lambda _: True)
    tasks = set()
    for n in range(NUMBERS_MAX + 5):
        tasks.add(versions.task(name_of(f"{URL}{n}"), _admitted(), 100.0))
    assert len(tasks) == NUMBERS_MAX + 5
    assert len(versions._numbers) == NUMBERS_MAX
    numbers = [entry.number for entry in versions._numbers.values()]
    assert numbers == sorted(set(numbers))
