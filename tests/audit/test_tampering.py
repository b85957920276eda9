"""What a superuser does to whole tables, in a database of its own: each has its own verdict."""

import json
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command

from audit.models import PLATFORM_TENANT
from audit.sealing import headslog
from audit.sealing.sealer import Sealer
from audit.services.erasure import erase_subject
from audit.verification.findings import Verdict
from audit.verification.nightly import reconcile
from kernel.tenancy import tenant_context
from tests.audit.logs import change, changes, rows
from tests.audit.samples import FORGE, SIZE, Sample, rebuild
from tests.audit.superuser import disarmed
from tests.database import SessionDatabase

Harm = Callable[[psycopg.Connection, Sample], object]


@pytest.fixture(scope="module", autouse=True)
def _elsewhere(session_database: SessionDatabase) -> Iterator[None]:
    """TRUNCATE takes the entries of all tenants: here nobody else has any."""
    with session_database.elsewhere():
        yield


def _update(link: psycopg.Connection, sample: Sample) -> None:
    link.execute(FORGE, [sample.event(42)])


def _delete(link: psycopg.Connection, sample: Sample) -> None:
    link.execute("DELETE FROM audit_event WHERE id = %s", [sample.event(200)])


def _truncate(link: psycopg.Connection, _: Sample) -> None:
    link.execute("TRUNCATE audit_event")


def _reorder(link: psycopg.Connection, sample: Sample) -> None:
    move = "UPDATE audit_leaf SET leaf_index = %s WHERE log_id = %s AND leaf_index = %s"
    for old, new in ((3, SIZE), (290, 3), (SIZE, 290)):
        link.execute(move, [new, sample.log_id, old])


def _rebuild(link: psycopg.Connection, sample: Sample) -> None:
    _update(link, sample)
    rebuild(link, sample)


def _withdraw(link: psycopg.Connection, _: Sample) -> None:
    link.execute("TRUNCATE audit_checkpoint")


_OLDER: Final = (
    "UPDATE audit_event SET recorded_at = recorded_at - interval '61 seconds' WHERE tenant_id = %s"
)
HARMS: Final[dict[Harm, tuple[str, int, int | None]]] = {
    _update: ("invalid", 1, 42),
    _delete: ("missing", 1, 200),
    _truncate: ("emptied", SIZE, 0),
    _reorder: ("reordered", 1, 3),
    _withdraw: ("withdrawn", 1, None),
    _rebuild: ("rebuilt", 2, 0),
}


def _command(*arguments: str) -> list[dict[str, Any]]:
    """Run ``manage.py audit_verify``, which has to fail, and give what it says of each log."""
    out = StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("audit_verify", "--json", *arguments, stdout=out)
    assert raised.value.returncode == 1
    logs: list[dict[str, Any]] = json.loads(out.getvalue())["logs"]
    return logs


@pytest.mark.parametrize("harm", HARMS)
def test_command__superusers_harm__has_a_verdict_of_its_own_and_its_place(
    sample: Sample, harm: Harm
) -> None:
    with disarmed() as link:
        harm(link, sample)
    (found,) = _command("--tenant", str(sample.tenant))
    verdict, count, place = HARMS[harm]
    assert (found["counts"], found["first_bad"]) == ({verdict: count}, place)


def test_verdicts__of_all_harms__differ() -> None:
    assert len({verdict for verdict, _, _ in HARMS.values()}) == len(HARMS)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ("audit_head SET stream = 1", {"invalid": SIZE}),
        ("audit_head SET epoch = 1", {"gap": 1}),
        ("audit_leaf SET tenant_id = gen_random_uuid()", {"invalid": SIZE}),
        ("audit_node SET tenant_id = gen_random_uuid()", {"invalid": 1}),
        ("audit_checkpoint SET tenant_id = gen_random_uuid()", {"invalid": 1}),
        ("audit_event SET stream = 1, leaf = '{}'", {"invalid": SIZE}),
    ],
)
def test_command__column_that_is_in_no_bytes__is_compared_with_its_log(
    sample: Sample, change: str, counts: dict[str, int]
) -> None:
    with disarmed() as link:
        link.execute(f"UPDATE {change} WHERE tenant_id = %s", [sample.tenant])
    found = [log for log in _command("--tenant", str(sample.tenant)) if not log["valid"]]
    assert [log["counts"] for log in found] == [counts]


def test_command__heads_entries_edited__are_invalid_in_the_heads_log(sealer: Sealer) -> None:
    harms = {
        uuid4(): change
        for change in (
            "heads_log = gen_random_uuid()",
            "leaf_index = leaf_index + 1000",
            "tenant_id = gen_random_uuid()",
            "leaf = 'none'",
        )
    }
    for tenant in harms:
        changes(tenant, 1)
    sealer.drain()
    headslog.publish()
    with disarmed() as link:
        for tenant, change in harms.items():
            link.execute(f"UPDATE audit_heads_entry SET {change} WHERE tenant_id = %s", [tenant])
    logs = _command("--tenant", str(PLATFORM_TENANT))
    assert [log["counts"] for log in logs if not log["valid"]] == [{"invalid": 4}]


@pytest.mark.parametrize("harm", ["TRUNCATE audit_pii", "DELETE FROM audit_pii"])
def test_command__openings_of_all_taken__are_unopened_and_the_erased_one_is_not(
    sealer: Sealer, harm: str
) -> None:
    tenant = uuid4()
    with tenant_context(tenant):
        for person in ("usr_1", "usr_2", "usr_3"):
            change(before=None, after={"email": "x@example.org"}, subject_id=person)
        erase_subject(tenant, "usr_1")
    sealer.drain()
    with disarmed() as link:
        link.execute(harm)
    (found,) = _command("--tenant", str(tenant))
    assert (found["counts"], found["first_bad"]) == ({"erased": 1, "unopened": 2}, 1)


@pytest.mark.parametrize(
    ("table", "counts", "place"),
    [
        ("audit_leaf", {"gap": 3, "invalid": 1}, 0),
        ("audit_node", {"invalid": 1}, 0),
        ("audit_head", {"gap": 1}, 0),
    ],
)
def test_command__table_of_the_tree_truncated__names_the_log(
    sample: Sample, table: str, counts: dict[str, int], place: int
) -> None:
    with disarmed() as link:
        link.execute(f"TRUNCATE {table}")
    for narrowed in ((), ("--tenant", str(sample.tenant))):
        (found,) = [log for log in _command(*narrowed) if log["log"] == sample.log_id.hex]
        assert (found["counts"], found["first_bad"]) == (counts, place)


_ALL_OF_A_LOG: Final = (
    "audit_leaf", "audit_node", "audit_head", "audit_checkpoint", "audit_heads_entry", "audit_event"
)  # fmt: skip


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        (_ALL_OF_A_LOG, "no log and no entry of this tenant is stored"),
        (_ALL_OF_A_LOG[:-1], "entries of stream 0 have no log"),
        (_ALL_OF_A_LOG[1:], "the whole log of 300 entries is gone"),
    ],
)
def test_command__one_tenants_log_is_gone__says_so(
    sample: Sample, gone: tuple[str, ...], told: str
) -> None:
    headslog.publish()
    with disarmed() as link:
        link.execute(_OLDER, [sample.tenant])
        for table in gone:
            link.execute(f"DELETE FROM {table} WHERE tenant_id = %s", [sample.tenant])
    (found,) = _command("--tenant", str(sample.tenant))
    assert [one["detail"] for one in found["findings"]] == [told]


def test_command__tenant_nobody_knows__is_absent() -> None:
    (found,) = _command("--tenant", str(uuid4()))
    assert found["counts"] == {"absent": 1}


def test_nightly__rebuilt_with_its_own_memory_rewritten__is_found_by_the_anchor(
    sample: Sample, sealer: Sealer
) -> None:
    """What was verified before is kept in the database, too."""
    sample.receipts += changes(sample.tenant, 5)
    sealer.drain()
    assert reconcile(sample.tenant) == []
    with disarmed() as link:
        _rebuild(link, sample)
        link.execute(
            "UPDATE audit_verified v SET root = h.root FROM audit_head h "
            "WHERE h.log_id = v.log_id AND v.log_id = %s",
            [sample.log_id],
        )
    (report,) = reconcile(sample.tenant)
    assert report.counts == {Verdict.REBUILT: 1}


def test_nightly__log_is_gone__is_told_in_the_tenants_log(sample: Sample, sealer: Sealer) -> None:
    with disarmed() as link:
        link.execute("DELETE FROM audit_head WHERE tenant_id = %s", [sample.tenant])
    (report,) = reconcile(sample.tenant)
    assert report.counts == {Verdict.GAP: 1}
    told = rows("SELECT action FROM audit_event WHERE tenant_id = %s ORDER BY seq DESC LIMIT 1",
                sample.tenant)  # fmt: skip
    assert told == [("audit.log.damaged",)]
