"""What was downloaded is compared once all of it is wanted, and what is wrong has its owner."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred

from dragonfly.errors import DigestMismatch
from dragonfly.peer.content.content import Content
from dragonfly.peer.content.verification import Verification
from dragonfly.task.digest import Digest, new_hasher
from tests.doubles.tasklab import TaskLab


def _sha256(body: bytes) -> Digest:
    hasher = new_hasher("sha256")
    hasher.update(body)
    return Digest("sha256", hasher.digest())


WRONG = _sha256(b"other")


@pytest.fixture
def content(lab: TaskLab) -> Iterator[Content]:
    """All of it is here."""
    file = lab.file()
    file.retain()
    content = lab.content(file)
    for piece in range(3):
        content.intake.add("n", piece, 0, lab.piece(piece))
    lab.threads.run()
    assert content.finished
    yield content
    file.release()


def _result(verification: Verification) -> Deferred[None]:
    return Deferred.fromCoroutine(verification.result())


def test_it_is_compared_when_it_is_wanted(lab: TaskLab, content: Content) -> None:
    """Before that it costs nothing, and there is nothing to wait for."""
    verification = Verification(content, WRONG, WRONG, lab.disk)
    verification.advance()
    assert _result(verification).called
    assert not lab.threads.waiting
    verification.stop()


@pytest.mark.parametrize(("named", "spoilt"), [(WRONG, True), (None, False)])
def test_what_its_name_says_otherwise_is_for_nobody(
    lab: TaskLab, content: Content, named: Digest | None, *, spoilt: bool
) -> None:
    """A digest that only this caller gave may be his mistake."""
    verification = Verification(content, WRONG, named, lab.disk)
    verification.begin()
    failures: list[object] = []
    _result(verification).addErrback(lambda failure: failures.append(failure.value))
    lab.threads.run()
    assert [type(each) for each in failures] == [DigestMismatch]
    assert content.spoilt is spoilt


def test_the_right_bytes_pass(lab: TaskLab, content: Content) -> None:
    """However often it is begun; without a digest everything does."""
    verification = Verification(content, _sha256(lab.body), None, lab.disk)
    verification.begin()
    verification.begin()
    done = _result(verification)
    lab.threads.run()
    assert done.called
    assert not content.spoilt
    nothing = Verification(content, None, None, lab.disk)
    nothing.begin()
    assert _result(nothing).called
