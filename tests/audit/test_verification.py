"""Entries and their places, tampered with by the database's superuser, are found and named."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connections

from audit.sealing import checkpoints
from audit.sealing.sealer import Sealer
from audit.verification import storage
from audit.verification.findings import Verdict
from kernel import db
from kernel.tenancy import tenant_context
from tests.audit.logs import changes, say
from tests.audit.samples import FORGE, SIZE, Sample, verdicts
from tests.audit.superuser import disarmed


def test_verify__untouched__is_valid(sample: Sample) -> None:
    report = sample.verify()
    assert report.valid
    assert (report.checked, report.findings, report.first_bad) == (SIZE, [], None)


@pytest.mark.parametrize(
    "column",
    ["action", "actor_id", "actor_type", "target_id", "target_type", "request_id", "on_behalf_of"],
)
def test_verify__column_edited__is_invalid_at_its_place(sample: Sample, column: str) -> None:
    with disarmed() as link:
        link.execute(f"UPDATE audit_event SET {column} = 'forged' WHERE id = %s", [sample.event(7)])
    report = sample.verify()
    assert (verdicts(report), report.first_bad) == ({Verdict.INVALID}, 7)
    assert f"column {column} differs" in report.findings[0].detail


@pytest.mark.parametrize(
    "change",
    ["outcome = 'failed'", "occurred_at = occurred_at + interval '1 microsecond'", "stream = 1"],
)
def test_verify__typed_column_edited__is_invalid_at_its_place(sample: Sample, change: str) -> None:
    with disarmed() as link:
        link.execute(f"UPDATE audit_event SET {change} WHERE id = %s", [sample.event(9)])
    report = sample.verify()
    assert (verdicts(report), report.first_bad) == ({Verdict.INVALID}, 9)


def test_verify__bytes_edited__is_invalid_at_its_place(sample: Sample) -> None:
    with disarmed() as link:
        link.execute(
            FORGE.replace("42", "123").replace("43", "124"),
            [sample.event(123)],
        )
    report = sample.verify()
    assert (verdicts(report), report.first_bad) == ({Verdict.INVALID}, 123)
    assert "bytes differ" in report.findings[0].detail


def test_verify__row_deleted__is_missing_at_its_place(sample: Sample) -> None:
    with disarmed() as link:
        link.execute("DELETE FROM audit_event WHERE id = %s", [sample.event(200)])
    report = sample.verify()
    assert (verdicts(report), report.first_bad) == ({Verdict.MISSING}, 200)


def test_verify__place_deleted__is_a_gap(sample: Sample) -> None:
    with disarmed() as link:
        link.execute(
            "DELETE FROM audit_leaf WHERE log_id = %s AND leaf_index = 50", [sample.log_id]
        )
    report = sample.verify()
    assert Verdict.GAP in verdicts(report)
    assert any("places 50 to 50 are gone" in one.detail for one in report.findings)


@pytest.mark.parametrize("pair", [(10, 11), (3, 290), (298, 299)])
def test_verify__two_entries_swapped__are_reordered_at_the_first(
    sample: Sample, pair: tuple[int, int]
) -> None:
    one, other = pair
    with disarmed() as link:
        for old, new in ((one, 1_000_000), (other, one), (1_000_000, other)):
            link.execute(
                "UPDATE audit_leaf SET leaf_index = %s WHERE log_id = %s AND leaf_index = %s",
                [new, sample.log_id, old],
            )
    report = sample.verify()
    assert [(found.verdict, found.index) for found in report.findings] == [(Verdict.REORDERED, one)]


def test_verify__another_entry_put_into_a_place__is_invalid(sample: Sample) -> None:
    """No order of the entries gives the sealed tree: this is no mere reordering."""
    with disarmed() as link:
        link.execute("DELETE FROM audit_leaf WHERE log_id = %s AND leaf_index = 299",
                     [sample.log_id])  # fmt: skip
        link.execute(
            "UPDATE audit_leaf l SET event_id = %s, leaf_hash = e.leaf_hash, "
            "recorded_at = e.recorded_at FROM audit_event e "
            "WHERE e.id = %s AND l.log_id = %s AND leaf_index = 5",
            [sample.event(299), sample.event(299), sample.log_id],
        )
    report = sample.verify()
    assert report.counts == {Verdict.GAP: 3, Verdict.INVALID: 1}
    assert "tile root 1/0 differs" in [one.detail for one in report.findings]


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ("tenant_id = '00000000-0000-0000-0000-0000000000aa'", Verdict.INVALID),
        ("recorded_at = recorded_at + interval '1 microsecond'", Verdict.MISSING),
        ("id = gen_random_uuid()", Verdict.MISSING),
    ],
)
def test_verify__key_edited__is_found_at_its_place(
    sample: Sample, change: str, verdict: Verdict
) -> None:
    with disarmed() as link:
        link.execute(f"UPDATE audit_event SET {change} WHERE id = %s", [sample.event(11)])
    report = sample.verify()
    assert (report.counts, report.first_bad) == ({verdict: 1}, 11)


def test_verify__text_moved_over_a_column_border__is_invalid(sealer: Sealer) -> None:
    """The comparison joins the columns; a value that holds the joint cannot be shifted."""
    sample = Sample(sealer)
    with tenant_context(sample.tenant), db.atomic():
        receipt = say(target_type="a\x1fb", target_id="c")
    sealer.drain()
    assert sample.verify().valid
    with disarmed() as link:
        link.execute(
            "UPDATE audit_event SET target_type = 'a', target_id = E'b\\x1fc' WHERE id = %s",
            [receipt.event_id],
        )
    report = sample.verify()
    assert (verdicts(report), report.first_bad) == ({Verdict.INVALID}, SIZE)
    assert "column target_type differs" in report.findings[0].detail


def test_verify__all_places_deleted__are_a_gap_from_the_first(sample: Sample) -> None:
    with disarmed() as link:
        link.execute("DELETE FROM audit_leaf WHERE log_id = %s", [sample.log_id])
    report = sample.verify()
    assert Verdict.GAP in report.counts
    assert report.first_bad == 0


def test_verify__log_grows_meanwhile__is_judged_by_one_snapshot(
    sample: Sample, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = storage.notes

    def grow(log_id: UUID) -> list[storage.StoredNote]:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_grow_apart, sample).result()
        return read(log_id)

    sealer.release()
    monkeypatch.setattr(storage, "notes", grow)
    report = sample.verify()
    assert (report.valid, report.checked) == (True, SIZE)
    monkeypatch.undo()
    report = sample.verify()
    assert (report.valid, report.checked) == (True, SIZE + 30)


def _grow_apart(sample: Sample) -> None:
    changes(sample.tenant, 30)
    other = Sealer()
    deadline = time.monotonic() + 10
    while not other.lead():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    other.drain()
    checkpoints.issue(sample.log_id)
    other.release()
    connections.close_all()


def test_verify__opening_edited__is_invalid(sealer: Sealer) -> None:
    sample = Sample(sealer)
    with tenant_context(sample.tenant), db.atomic():
        receipts = [say(after={"email": "x@example.org"}, before=None) for _ in range(2)]
    sealer.drain()
    with disarmed() as link:
        link.execute(
            "UPDATE audit_pii SET doc = replace(doc::text, 'x@', 'y@')::jsonb WHERE event_id = %s",
            [receipts[1].event_id],
        )
    report = sample.verify()
    assert (verdicts(report), report.first_bad) == ({Verdict.INVALID}, SIZE + 1)


def test_verify__entry_without_a_place_for_long__is_unsealed(sample: Sample) -> None:
    changes(sample.tenant, 1)
    assert sample.verify().valid
    with disarmed() as link:
        link.execute(
            "UPDATE audit_event SET recorded_at = recorded_at - interval '61 seconds' "
            "WHERE tenant_id = %s AND id NOT IN (SELECT event_id FROM audit_leaf)",
            [sample.tenant],
        )
    report = sample.verify()
    assert (verdicts(report), report.valid) == ({Verdict.UNSEALED}, False)


def test_verify__all_entries_deleted__is_emptied(sample: Sample, sealer: Sealer) -> None:
    with disarmed() as link:
        link.execute("DELETE FROM audit_event WHERE tenant_id = %s", [sample.tenant])
    report = sample.verify()
    assert (report.counts, report.first_bad) == ({Verdict.EMPTIED: SIZE}, 0)
    changes(sample.tenant, 5)
    sealer.drain()
    (finding,) = sample.verify().findings
    assert finding.detail == "all 300 entries before place 300 are gone"


@pytest.mark.parametrize("intact", [0, 150])
def test_verify__all_entries_but_one_deleted__are_missing(sample: Sample, intact: int) -> None:
    with disarmed() as link:
        link.execute(
            "DELETE FROM audit_event WHERE tenant_id = %s AND id <> %s",
            [sample.tenant, sample.event(intact)],
        )
    assert sample.verify().counts == {Verdict.MISSING: SIZE - 1}
