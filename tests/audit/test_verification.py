"""Every kind of tampering by the database's superuser is found, named and placed."""

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from audit.sealing import anchors, checkpoints, epochs, headslog
from audit.sealing.sealer import Sealer
from audit.tree.frontier import Frontier
from audit.verification import storage
from audit.verification.findings import LogReport, Verdict
from kernel import db
from kernel.tenancy import tenant_context
from tests.audit.logs import changes, rows, say
from tests.audit.samples import FORGE, SIZE, Sample, rebuild
from tests.audit.superuser import disarmed, superuser


@pytest.fixture
def sample(sealer: Sealer) -> Sample:
    return Sample(sealer)


def found(report: LogReport) -> set[Verdict]:
    return {finding.verdict for finding in report.findings}


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
    assert (found(report), report.first_bad) == ({Verdict.INVALID}, 7)
    assert f"column {column} differs" in report.findings[0].detail


@pytest.mark.parametrize(
    "change",
    ["outcome = 'failed'", "occurred_at = occurred_at + interval '1 microsecond'", "stream = 1"],
)
def test_verify__typed_column_edited__is_invalid_at_its_place(sample: Sample, change: str) -> None:
    with disarmed() as link:
        link.execute(f"UPDATE audit_event SET {change} WHERE id = %s", [sample.event(9)])
    report = sample.verify()
    assert (found(report), report.first_bad) == ({Verdict.INVALID}, 9)


def test_verify__bytes_edited__is_invalid_at_its_place(sample: Sample) -> None:
    with disarmed() as link:
        link.execute(
            FORGE.replace("42", "123").replace("43", "124"),
            [sample.event(123)],
        )
    report = sample.verify()
    assert (found(report), report.first_bad) == ({Verdict.INVALID}, 123)
    assert "bytes differ" in report.findings[0].detail


def test_verify__row_deleted__is_missing_at_its_place(sample: Sample) -> None:
    with disarmed() as link:
        link.execute("DELETE FROM audit_event WHERE id = %s", [sample.event(200)])
    report = sample.verify()
    assert (found(report), report.first_bad) == ({Verdict.MISSING}, 200)


def test_verify__place_deleted__is_a_gap(sample: Sample) -> None:
    with disarmed() as link:
        link.execute(
            "DELETE FROM audit_leaf WHERE log_id = %s AND leaf_index = 50", [sample.log_id]
        )
    report = sample.verify()
    assert Verdict.GAP in found(report)
    assert any("places 50 to 50 are gone" in one.detail for one in report.findings)


def test_verify__tail_cut_off_and_head_rewound__is_a_gap_by_the_checkpoint(sample: Sample) -> None:
    frontier = Frontier()
    frontier.extend(receipt.leaf_hash for receipt in sample.receipts[:260])
    with disarmed() as link:
        link.execute(
            "DELETE FROM audit_leaf WHERE log_id = %s AND leaf_index >= 260", [sample.log_id]
        )
        link.execute(
            "UPDATE audit_head SET size = 260, root = %s, frontier = %s WHERE log_id = %s",
            [frontier.root(), frontier.hashes, sample.log_id],
        )
    report = sample.verify()
    assert Verdict.GAP in found(report)
    assert any("anchored checkpoint knows 300 entries" in one.detail for one in report.findings)


def test_verify__tree_rebuilt_after_an_edit__differs_from_checkpoint_and_anchor(
    sample: Sample,
) -> None:
    with disarmed() as link:
        link.execute(FORGE, [sample.event(42)])
        rebuild(link, sample)
    report = sample.verify()
    assert (found(report), report.first_bad) == ({Verdict.REBUILT}, 0)
    details = [one.detail for one in report.findings]
    assert any("the checkpoint of size 300 has another root" in one for one in details)
    assert any("the anchored checkpoint has another root" in one for one in details)


def test_verify__tree_rebuilt_behind_a_checkpoint__names_the_last_good_size(
    sample: Sample, sealer: Sealer
) -> None:
    sample.receipts += changes(sample.tenant, 60)
    sealer.drain()
    checkpoints.issue(sample.log_id)
    with disarmed() as link:
        link.execute(
            "UPDATE audit_event SET leaf = "
            "replace(convert_from(leaf, 'UTF8'), 'name 42', 'name 43')::bytea WHERE id = %s",
            [sample.event(SIZE + 42)],
        )
        rebuild(link, sample)
    report = sample.verify()
    assert (found(report), report.first_bad) == ({Verdict.REBUILT}, SIZE)


def test_verify__tree_rebuilt_and_checkpoints_removed__differs_from_the_anchor(
    sample: Sample,
) -> None:
    with disarmed() as link:
        link.execute(FORGE, [sample.event(42)])
        rebuild(link, sample)
        link.execute("DELETE FROM audit_checkpoint WHERE log_id = %s", [sample.log_id])
    report = sample.verify()
    assert [(one.verdict, one.detail, one.index) for one in report.findings] == [
        (
            Verdict.REBUILT,
            f"the anchored checkpoint has another root at size {SIZE}: rebuilt from 0 or later",
            0,
        )
    ]


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
    assert (found(report), report.first_bad) == ({Verdict.INVALID}, SIZE)
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


def test_verify__tile_root_edited__is_invalid_at_its_tile(sample: Sample) -> None:
    with disarmed() as link:
        link.execute("UPDATE audit_node SET hash = sha256('x') WHERE log_id = %s", [sample.log_id])
    report = sample.verify()
    assert (found(report), report.first_bad) == ({Verdict.INVALID}, 0)
    assert report.findings[0].detail == "tile root 1/0 differs"


def test_verify__note_edited__is_invalid(sample: Sample) -> None:
    with disarmed() as link:
        link.execute(
            "UPDATE audit_checkpoint SET note = replace(note, %s, %s) WHERE log_id = %s",
            ["\n300\n", "\n301\n", sample.log_id],
        )
    details = [one.detail for one in sample.verify().findings]
    assert "the checkpoint of size 300 differs from its columns" in details
    assert "the checkpoint of size 300 has no good signature of ours" in details


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
    assert (found(report), report.first_bad) == ({Verdict.INVALID}, SIZE + 1)


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
    assert (found(report), report.valid) == ({Verdict.UNSEALED}, False)


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


def test_verify__evidence_of_an_anchor_is_none__is_invalid(sample: Sample) -> None:
    kinds, proofs = ["rfc3161", "witness", "receiver", "unheard_of"], ["", "00", "3003", "— x"]
    with superuser() as link:
        link.execute(
            "INSERT INTO audit_anchor (id, log_id, size, tenant_id, kind, proof) "
            "SELECT gen_random_uuid(), %s, 300, %s, kind, proof "
            "FROM unnest(%s::text[]) AS kind, unnest(%s::text[]) AS proof",
            [sample.log_id, sample.tenant, kinds, proofs],
        )
    assert sample.verify().counts == {Verdict.INVALID: 16}


def test_verify__anchored_note_is_none__is_invalid_and_nothing_is_signed(
    sample: Sample, sealer: Sealer
) -> None:
    path = anchors.directory() / f"{sample.log_id.hex}.note"
    path.write_bytes(b"\xff\x00")
    assert sample.verify().counts == {Verdict.INVALID: 1}
    assert sample.log_id not in {one.log_id for one in epochs.find_broken()}
    changes(sample.tenant, 1)
    sealer.drain()
    with pytest.raises(checkpoints.ForkRefusedError, match="cannot be read"):
        checkpoints.issue(sample.log_id)
    path.unlink()  # the directory is shared


def test_verify__signed_by_a_key_that_is_not_ours__is_unsigned(
    sample: Sample, settings: Any, tmp_path: Path
) -> None:
    """As after the keys of the instance were exchanged, or its notes signed by another's."""
    assert sample.verify().valid
    shutil.copytree(anchors.directory(), tmp_path / "audit-anchors")
    settings.INNKEEPER_HOME = tmp_path
    assert sample.verify().counts == {Verdict.UNSIGNED: 2}


def test_verify__database_rolled_back_as_a_whole__is_behind(sample: Sample) -> None:
    """Nothing in it knows more; the anchor does."""
    frontier = Frontier()
    frontier.extend(receipt.leaf_hash for receipt in sample.receipts[:250])
    with disarmed() as link:
        for statement in (
            "DELETE FROM audit_event WHERE id IN (SELECT event_id FROM audit_leaf "
            "WHERE log_id = %s AND leaf_index >= 250)",
            "DELETE FROM audit_leaf WHERE log_id = %s AND leaf_index >= 250",
            "DELETE FROM audit_node WHERE log_id = %s",
            "DELETE FROM audit_checkpoint WHERE log_id = %s",
        ):
            link.execute(statement, [sample.log_id])
        link.execute(
            "UPDATE audit_head SET size = 250, root = %s, frontier = %s WHERE log_id = %s",
            [frontier.root(), frontier.hashes, sample.log_id],
        )
    report = sample.verify()
    assert (report.counts, report.first_bad) == ({Verdict.BEHIND: 1}, 250)


def test_verify__heads_log__fixes_each_state(sample: Sample) -> None:
    assert headslog.publish() >= 1
    assert headslog.publish() == 0
    ((kept,),) = rows("SELECT root FROM audit_heads_entry WHERE log_id = %s", sample.log_id)
    with disarmed() as link:
        link.execute(
            "UPDATE audit_heads_entry SET root = sha256('x') WHERE log_id = %s", [sample.log_id]
        )
    assert [one.detail for one in sample.verify().findings] == [
        f"the heads log's entry has another root at size {SIZE}"
    ]
    # All tests of a worker share the log of heads.
    with disarmed() as link:
        link.execute(
            "UPDATE audit_heads_entry SET root = %s WHERE log_id = %s", [kept, sample.log_id]
        )


def test_command__intact_and_damaged__exit_codes_differ(sample: Sample) -> None:
    out = StringIO()
    call_command("audit_verify", "--json", "--tenant", str(sample.tenant), stdout=out)
    report = json.loads(out.getvalue())
    assert (report["valid"], report["checked"]) == (True, SIZE)
    with disarmed() as link:
        link.execute("UPDATE audit_event SET action = 'x.y' WHERE id = %s", [sample.event(3)])
    out = StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("audit_verify", "--tenant", str(sample.tenant), stdout=out)
    assert raised.value.returncode == 1
    assert "invalid at 3" in out.getvalue()


@pytest.mark.parametrize("more", [0, 1, 700])
def test_verify__since_a_checkpoint__checks_only_what_came_after(
    sample: Sample, sealer: Sealer, tmp_path: Path, more: int
) -> None:
    note = tmp_path / "note"
    note.write_text(checkpoints.issue(sample.log_id))
    changes(sample.tenant, more)
    sealer.drain()
    out = StringIO()
    call_command("audit_verify", "--json", "--since", str(note), stdout=out)
    report = json.loads(out.getvalue())
    assert (report["valid"], report["checked"]) == (True, more)


def test_verify__since_a_checkpoint__still_finds_a_rebuilt_tree_below_it(
    sample: Sample, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    note.write_text(checkpoints.issue(sample.log_id))
    with disarmed() as link:
        link.execute(FORGE, [sample.event(42)])
        rebuild(link, sample)
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("audit_verify", "--since", str(note), stdout=out)
    assert "does not begin with the trusted state of 300" in " ".join(out.getvalue().split())


def test_verify__since_a_foreign_note__is_refused(sample: Sample, tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text(checkpoints.issue(sample.log_id).replace("\n300\n", "\n299\n"))
    with pytest.raises(CommandError, match="not signed by a key of this instance"):
        call_command("audit_verify", "--since", str(note))
