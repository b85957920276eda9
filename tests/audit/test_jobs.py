"""The sealer as the worker runs it, and its keys."""

import threading
from uuid import UUID

import pytest
from django.db import connections

from audit.jobs import SealerLoop, run_sealer
from audit.sealing import checkpoints, headslog, keys
from tests.audit.logs import change, rows
from tests.waiting import until


def test_run_sealer__until_stopped__seals_and_publishes_heads(tenant_id: UUID) -> None:
    stop = threading.Event()

    def run() -> None:
        run_sealer(stop)
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        change()
        query = "SELECT size FROM audit_head WHERE tenant_id = %s"
        until("the loop has done it", lambda: rows(query, tenant_id) == [(1,)])
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def test_loop__database_away__waits_and_goes_on(tenant_id: UUID) -> None:
    loop = SealerLoop()
    until("the loop has done it", lambda: loop.step() < 1.0)
    change()
    connections["sealer"].close()
    until("the loop has done it", lambda: loop.step() < 1.0)
    assert rows("SELECT size FROM audit_head WHERE tenant_id = %s", tenant_id) == [(1,)]
    loop.close()


@pytest.mark.parametrize(
    "fault", [OSError("disk full"), checkpoints.ForkRefusedError("the log differs")]
)
def test_loop__heads_log_cannot_be_published__sealing_goes_on(
    tenant_id: UUID, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def refuse() -> int:
        raise fault

    monkeypatch.setattr(headslog, "publish", refuse)
    loop = SealerLoop()
    until("the loop has done it", lambda: loop.step() < 1.0)
    change()
    loop.step()
    assert rows("SELECT size FROM audit_head WHERE tenant_id = %s", tenant_id) == [(1,)]
    loop.close()


def test_keys__made_once__are_private_files(tmp_path: object, settings: object) -> None:
    settings.INNKEEPER_HOME = tmp_path
    first = keys.ring()
    assert keys.ring() == first
    path = tmp_path / "keys" / "audit-signing.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_keys__rotated__still_verify_older_notes(tmp_path: object, settings: object) -> None:
    settings.INNKEEPER_HOME = tmp_path
    old = keys.ring()
    new = keys.rotate()
    before, after = old.verifiers("o"), new.verifiers("o")
    assert after[1:] == before
    assert after[0] != before[0]
    assert (new.alias, keys.ring()) == (old.alias, new)
