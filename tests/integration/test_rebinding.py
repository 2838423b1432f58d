"""Pages whose own name is made to lead to dfdaemon, on real sockets."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pytest_twisted import ensureDeferred

from tests.doubles.daemons import Daemon
from tests.doubles.origin import FakeOrigin

CONTENT = b"layer" * 1000
BLOB = f"/v2/app/blobs/sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@ensureDeferred
async def test_a_page_whose_name_leads_here(
    origin: FakeOrigin, tmp_path: Path, roles: list[Any]
) -> None:
    """It cannot have dfdaemon ask what it likes; who is listed can, and everybody the mirror."""
    origin.put(BLOB, CONTENT)
    names = ("dfdaemon.example.com",)
    daemon = await Daemon.started(tmp_path / "home", origin.url(""), host_names=names)
    roles.append(daemon)
    behind = f"/x/{origin.url(BLOB)}"
    refused = await daemon.get(behind, {"Host": f"evil.example:{daemon.port}"})
    assert refused.status == 421
    assert b"evil.example" in refused.body
    assert b"hostNames" in refused.body
    for path, host in ((behind, names[0]), (behind, "localhost"), (BLOB, "evil.example")):
        answer = await daemon.get(path, {"Host": f"{host}:{daemon.port}"})
        assert (answer.status, answer.body == CONTENT) == (200, True), (path, host)
