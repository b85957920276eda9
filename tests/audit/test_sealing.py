"""The sealer: every committed entry exactly once, dense, whatever happens meanwhile."""

import random
import threading
import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connections, transaction

from audit.sealing import heads, search, state, window
from audit.sealing.sealer import Sealer
from audit.sealing.tiles import DatabaseTiles
from audit.services import audited
from audit.tree.frontier import root_of
from audit.tree.proofs import range_root
from kernel import db
from kernel.tenancy import tenant_context
from tests.audit.logs import change, changes, rows, say
from tests.audit.superuser import superuser
from tests.audit.threads import elsewhere
from tests.waiting import until


def leaves_of(tenant: UUID) -> list[tuple[int, UUID, bytes]]:
    return [
        (index, event, bytes(digest))
        for index, event, digest in rows(
            "SELECT leaf_index, event_id, leaf_hash FROM audit_leaf WHERE tenant_id = %s "
            "ORDER BY log_id, leaf_index",
            tenant,
        )
    ]


def head_of(tenant: UUID) -> tuple[UUID, int, bytes]:
    log_id, size, root = rows(
        "SELECT log_id, size, root FROM audit_head WHERE tenant_id = %s AND stream = 0", tenant
    )[0]
    return log_id, size, bytes(root)


def test_sealer__committed_entries__get_dense_places_in_order(
    tenant_id: UUID, sealer: Sealer
) -> None:
    receipts = changes(tenant_id, 300)
    sealer.drain()
    receipts += changes(tenant_id, 250)
    sealer.drain()

    found = leaves_of(tenant_id)
    assert [entry[0] for entry in found] == list(range(550))
    assert [entry[1] for entry in found] == [receipt.event_id for receipt in receipts]
    log_id, size, root = head_of(tenant_id)
    assert (size, root) == (550, root_of(receipt.leaf_hash for receipt in receipts))
    assert range_root(DatabaseTiles(log_id), 550) == root
    nodes = rows("SELECT level, idx FROM audit_node WHERE log_id = %s ORDER BY 1, 2", log_id)
    assert nodes == [(1, 0), (1, 1)]


def test_sealer__nothing_new__changes_nothing(tenant_id: UUID, sealer: Sealer) -> None:
    changes(tenant_id, 3)
    sealer.drain()
    before = leaves_of(tenant_id)
    assert sealer.run_once().sealed == 0
    assert leaves_of(tenant_id) == before


def test_sealer__two_streams__are_two_logs(tenant_id: UUID, sealer: Sealer) -> None:
    change()
    change(stream=1)
    sealer.drain()
    streams = rows("SELECT stream, size FROM audit_head WHERE tenant_id = %s ORDER BY 1", tenant_id)
    assert streams == [(0, 1), (1, 1)]


def test_sealer__second_one__does_not_lead(tenant_id: UUID, sealer: Sealer) -> None:
    sealer.drain()
    change()
    assert not elsewhere(lambda: Sealer().run_once().leading)
    assert leaves_of(tenant_id) == []
    assert sealer.run_once().sealed >= 1
    sealer.release()
    assert elsewhere(lambda: Sealer().run_once().leading)


def test_sealer__leader_without_the_lock__fails_loudly_instead_of_forking(
    tenant_id: UUID, sealer: Sealer
) -> None:
    changes(tenant_id, 2)
    sealer.drain()
    event = leaves_of(tenant_id)[0][1]
    with (
        db.use_alias("sealer"),
        db.cursor() as cursor,
        pytest.raises(IntegrityError, match="audit_leaf_event_id_key"),
    ):
        cursor.execute(
            "INSERT INTO audit_leaf "
            "SELECT log_id, 2, tenant_id, event_id, recorded_at, leaf_hash "
            "FROM audit_leaf WHERE event_id = %s",
            [event],
        )


def test_sealer__open_transaction__is_sealed_once_it_commits_and_stalls_nobody(
    tenant_id: UUID, sealer: Sealer
) -> None:
    entered, leave = threading.Event(), threading.Event()
    late = uuid4()

    def writer() -> None:
        with tenant_context(late), audited():
            with db.cursor() as cursor:
                cursor.execute("SELECT pg_current_xact_id()")
            entered.set()
            leave.wait(10)
            say()
        connections.close_all()

    thread = threading.Thread(target=writer)
    thread.start()
    entered.wait(10)
    changes(tenant_id, 5)
    sealer.drain()
    changes(tenant_id, 5)
    sealer.drain()
    assert len(leaves_of(tenant_id)) == 10
    leave.set()
    thread.join()
    sealer.drain()
    assert len(leaves_of(late)) == 1
    assert len(leaves_of(tenant_id)) == 10


def _may_advance() -> bool:
    ((may,),) = rows(
        "SELECT pg_snapshot_xmin(pg_current_snapshot()) > low FROM audit_sealer_state",
        alias="sealer",
    )
    return bool(may)


@pytest.mark.parametrize("step", ["read", "look", "lock", "extend", "copy", "move", "advance"])
def test_sealer__killed_at_a_step__means_nothing_happened(
    tenant_id: UUID, sealer: Sealer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class KilledError(Exception):
        pass

    sealer.drain()
    receipts = changes(tenant_id, 300)
    until("no older transaction of the cluster keeps the window where it is", _may_advance)
    place = {
        "read": (state, "read"),
        "look": (window, "look"),
        "lock": (heads, "lock"),
        "extend": (heads, "extend_all"),
        "copy": (heads, "_copy"),
        "move": (heads, "_move"),
        "advance": (state, "advance"),
    }[step]
    original = getattr(*place)

    def kill(*arguments: Any) -> None:
        original(*arguments)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(*place, kill)
        with pytest.raises(KilledError):
            sealer.run_once()
    assert leaves_of(tenant_id) == []
    sealer.drain()
    assert [entry[1] for entry in leaves_of(tenant_id)] == [one.event_id for one in receipts]


def test_sealer__session_killed_by_the_database__leads_again(
    tenant_id: UUID, sealer: Sealer
) -> None:
    sealer.drain()
    change()
    with superuser() as link:
        link.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename = 'innkeeper_sealer' AND datname = current_database()"
        )
    with pytest.raises(Exception, match=r"terminat|clos"):
        sealer.run_once()
    connections["sealer"].close()
    sealer.drain()
    assert len(leaves_of(tenant_id)) == 1


def test_sealer__restored_into_another_cluster__looks_at_everything_once(
    tenant_id: UUID, sealer: Sealer
) -> None:
    changes(tenant_id, 4)
    sealer.drain()
    change()
    with superuser() as link:
        link.execute("UPDATE audit_sealer_state SET system_identifier = '1', low = '999999999999'")
    sealer.drain()
    assert [entry[0] for entry in leaves_of(tenant_id)] == [0, 1, 2, 3, 4]
    low, identifier, recent = rows(
        "SELECT low::text::bigint, system_identifier, since > now() - interval '2 hours' "
        "FROM audit_sealer_state",
        alias="sealer",
    )[0]
    assert low < 999999999999
    assert identifier != "1"
    assert recent
    change()
    sealer.drain()
    assert len(leaves_of(tenant_id)) == 6


def test_window__plan__probes_the_unique_index(tenant_id: UUID, sealer: Sealer) -> None:
    changes(tenant_id, 50)
    sealer.drain()
    with superuser() as link:
        link.execute("ANALYZE audit_leaf")
        link.execute("ANALYZE audit_event")
    with db.use_alias("sealer"), db.atomic(), db.cursor() as cursor:
        cursor.execute(window.PLAN)
        cursor.execute("EXPLAIN " + window._QUERY, ["1", window.ALWAYS, 5000])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "audit_leaf_event_id_key" in plan or "Seq Scan on audit_leaf" not in plan
    assert "Hash" not in plan
    assert "Merge Anti" not in plan


def test_search__sealed_entry__is_indexed_with_its_tenant(tenant_id: UUID, sealer: Sealer) -> None:
    receipt = change("zanzibar", after={"name": "zanzibar", "email": "kim@example.org"})
    assert rows("SELECT 1 FROM audit_search WHERE tenant_id = %s", tenant_id) == []
    sealer.drain()
    words = rows("SELECT words::text FROM audit_search WHERE event_id = %s", receipt.event_id)[0][0]
    for word in ("zanzibar", "kim@example.org", "renamed", f"tenant:{tenant_id}"):
        assert f"'{word}'" in words


def test_search__sealer_killed_before_indexing__is_made_up_for_by_the_next(
    tenant_id: UUID, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer.drain()
    receipts = changes(tenant_id, 3)

    def kill(logs: object) -> set[UUID]:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(search, "fill", kill)
        with pytest.raises(InterruptedError):
            sealer.run_once()
    assert [entry[1] for entry in leaves_of(tenant_id)] == [one.event_id for one in receipts]
    assert rows("SELECT 1 FROM audit_search WHERE tenant_id = %s", tenant_id) == []
    sealer.release()
    elsewhere(lambda: Sealer().drain())
    assert len(rows("SELECT 1 FROM audit_search WHERE tenant_id = %s", tenant_id)) == 3


def test_search__text_with_a_nul__is_indexed_and_stalls_nobody(
    tenant_id: UUID, sealer: Sealer
) -> None:
    odd = change(after={"name": "one\x00two", "note": "back\\\\u0000slash"})
    sealer.drain()
    words = rows("SELECT words::text FROM audit_search WHERE event_id = %s", odd.event_id)[0][0]
    assert "'one'" in words
    assert "'two'" in words
    assert len(leaves_of(tenant_id)) == 1


def test_search__function__finds_the_connections_own_tenant_only(
    tenant_id: UUID, sealer: Sealer
) -> None:
    """The function reads past row-level security: it must fence by itself."""
    (mine,) = changes(tenant_id, 1)
    stranger = uuid4()
    (theirs,) = changes(stranger, 1)
    sealer.drain()

    def find(asked: str) -> list[tuple[UUID]]:
        with db.cursor() as cursor:
            cursor.execute("SELECT audit_find(%s)", [asked])
            return list(cursor.fetchall())

    assert find("renamed") == [(mine.event_id,)]
    assert find("-nowhere") == [(mine.event_id,)]
    assert find(f"renamed or tenant:{stranger}") == [(mine.event_id,)]
    with tenant_context(stranger):
        assert find("renamed") == [(theirs.event_id,)]
    with db.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', '', false)")
    assert find("renamed") == []


def test_search__metadata__is_found_too(tenant_id: UUID, sealer: Sealer) -> None:
    receipt = change(metadata={"place": "ouagadougou"})
    sealer.drain()
    words = rows("SELECT words::text FROM audit_search WHERE event_id = %s", receipt.event_id)[0][0]
    assert "'ouagadougou'" in words


def test_sealer__many_writers_with_rollbacks_and_savepoints__seals_each_commit_once(
    sealer: Sealer,
) -> None:
    tenants = [uuid4(), uuid4()]
    committed: list[UUID] = []
    lock = threading.Lock()
    stop = threading.Event()

    def writer(seed: int) -> None:
        chance = random.Random(seed)
        tenant = tenants[seed % 2]
        for _ in range(12):
            mine: list[UUID] = []
            try:
                with tenant_context(tenant), audited():
                    for _ in range(chance.randint(1, 3)):
                        mine.append(say().event_id)
                        time.sleep(chance.random() * 0.004)
                    mine += _in_savepoint(chance)
                    if chance.random() < 0.3:
                        raise InterruptedError  # noqa: TRY301 - the roll-back under test
            except InterruptedError:
                continue
            with lock:
                committed.extend(mine)
        connections.close_all()

    def seal() -> None:
        own = Sealer()
        while not stop.is_set():
            own.run_once()
            time.sleep(0.02)
        own.release()
        connections.close_all()

    sealing = threading.Thread(target=seal)
    writers = [threading.Thread(target=writer, args=(seed,)) for seed in range(32)]
    for thread in (sealing, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    sealing.join()
    sealer.drain()

    found = [leaves_of(tenant) for tenant in tenants]
    for log in found:
        assert [entry[0] for entry in log] == list(range(len(log)))
    assert sorted(entry[1] for log in found for entry in log) == sorted(committed)


def _in_savepoint(chance: random.Random) -> list[UUID]:
    """Record one entry in a savepoint that is rolled back half the time."""
    try:
        with transaction.atomic(using=db.alias()):
            receipt = say()
            if chance.random() < 0.5:
                raise RuntimeError  # noqa: TRY301 - the roll-back under test
    except RuntimeError:
        return []
    return [receipt.event_id]
