"""Trees, checkpoints, anchors: what was sealed and published fixes what is stored."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from audit.sealing import anchors, checkpoints, epochs, headslog
from audit.sealing.sealer import Sealer
from audit.tree.frontier import Frontier
from audit.verification.findings import Verdict
from tests.audit.logs import changes, rows
from tests.audit.samples import FORGE, SIZE, Sample, rebuild, verdicts
from tests.audit.superuser import disarmed, superuser


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
    assert Verdict.GAP in verdicts(report)
    assert any("anchored checkpoint knows 300 entries" in one.detail for one in report.findings)


def test_verify__tree_rebuilt_after_an_edit__differs_from_checkpoint_and_anchor(
    sample: Sample,
) -> None:
    with disarmed() as link:
        link.execute(FORGE, [sample.event(42)])
        rebuild(link, sample)
    report = sample.verify()
    assert (verdicts(report), report.first_bad) == ({Verdict.REBUILT}, 0)
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
    assert (verdicts(report), report.first_bad) == ({Verdict.REBUILT}, SIZE)


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


def test_verify__tile_root_edited__is_invalid_at_its_tile(sample: Sample) -> None:
    with disarmed() as link:
        link.execute("UPDATE audit_node SET hash = sha256('x') WHERE log_id = %s", [sample.log_id])
    report = sample.verify()
    assert (verdicts(report), report.first_bad) == ({Verdict.INVALID}, 0)
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
