"""A restore that lost published entries is found out, not signed over, and told."""

import io
import json
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import call_command

from audit.exports import offboarding
from audit.models import Head
from audit.sealing import anchors, checkpoints, epochs
from audit.sealing.checkpoints import ForkRefusedError
from audit.sealing.sealer import Sealer
from audit.tree.frontier import Frontier
from audit.verification.findings import Verdict
from audit.verification.run import verify
from kernel.tenancy import tenant_context
from tests.audit.logs import changes, rows
from tests.audit.superuser import disarmed


def _restore_to(log_id: UUID, size: int) -> None:
    """Do to one log what a restore to an earlier moment does: its later entries never happened."""
    digests = [
        bytes(row[0])
        for row in rows(
            "SELECT leaf_hash FROM audit_leaf WHERE log_id = %s AND leaf_index < %s "
            "ORDER BY leaf_index",
            log_id,
            size,
        )
    ]
    frontier = Frontier()
    frontier.extend(digests)
    with disarmed() as link:
        lost = "SELECT event_id FROM audit_leaf WHERE log_id = %s AND leaf_index >= %s"
        link.execute(f"DELETE FROM audit_event WHERE id IN ({lost})", [log_id, size])
        link.execute(
            "DELETE FROM audit_leaf WHERE log_id = %s AND leaf_index >= %s", [log_id, size]
        )
        link.execute(
            "DELETE FROM audit_node WHERE log_id = %s AND (idx + 1) * 256 > %s AND level = 1",
            [log_id, size],
        )
        link.execute("DELETE FROM audit_checkpoint WHERE log_id = %s AND size > %s", [log_id, size])
        link.execute(
            "UPDATE audit_head SET size = %s, root = %s, frontier = %s WHERE log_id = %s",
            [size, frontier.root(), frontier.hashes, log_id],
        )


@pytest.fixture
def log_id(tenant_id: UUID, sealer: Sealer) -> UUID:
    changes(tenant_id, 20)
    sealer.drain()
    return Head.objects.get(stream=0).log_id


def _broken(log_id: UUID) -> list[epochs.Broken]:
    return [broken for broken in epochs.find_broken() if broken.log_id == log_id]


def test_checkpoint__same_size__is_signed_once_and_anchored(log_id: UUID) -> None:
    first = checkpoints.issue(log_id)
    assert checkpoints.issue(log_id) == first
    assert anchors.newest_note(log_id) == first
    assert anchors.checkpoint_of(first).size == 20


def test_checkpoint__log_fell_behind_its_anchor__is_refused(
    tenant_id: UUID, log_id: UUID, sealer: Sealer
) -> None:
    checkpoints.issue(log_id)
    _restore_to(log_id, 12)
    with pytest.raises(ForkRefusedError):
        checkpoints.issue(log_id)
    changes(tenant_id, 30)  # longer than the anchor again, with another history
    sealer.drain()
    with pytest.raises(ForkRefusedError):
        checkpoints.issue(log_id)


def test_epoch__log_fell_behind__begins_with_the_last_checkpoint(
    tenant_id: UUID, log_id: UUID, sealer: Sealer
) -> None:
    note = checkpoints.issue(log_id)
    assert _broken(log_id) == []
    _restore_to(log_id, 12)

    (broken,) = _broken(log_id)
    assert (broken.reason, broken.note) == ("behind", note)
    successor = epochs.open_epoch(broken)

    assert _broken(log_id) == []
    head = Head.objects.get(log_id=successor)
    assert (head.epoch, head.size) == (1, 1)
    leaf = json.loads(
        bytes(
            rows(
                "SELECT e.leaf FROM audit_leaf l JOIN audit_event e ON e.id = l.event_id "
                "WHERE l.log_id = %s AND l.leaf_index = 0",
                successor,
            )[0][0]
        )
    )
    assert leaf["action"] == "audit.epoch.opened"
    assert leaf["context"]["metadata"] == {
        "former_log": log_id.hex,
        "cause": "behind",
        "checkpoint": note,
    }
    changes(tenant_id, 3)
    sealer.drain()
    with tenant_context(tenant_id):
        assert Head.objects.get(log_id=successor).size == 4
        assert Head.objects.get(log_id=log_id).size == 12
    assert anchors.checkpoint_of(checkpoints.issue(successor)).size == 4


def test_epoch__verifier__keeps_naming_the_loss(tenant_id: UUID, log_id: UUID) -> None:
    checkpoints.issue(log_id)
    _restore_to(log_id, 12)
    epochs.open_epoch(_broken(log_id)[0])
    former, successor = verify(tenant_id).logs
    assert successor.valid
    assert former.counts == {Verdict.BEHIND: 1}
    assert former.findings[0].detail == "the anchored checkpoint knows 20 entries, the log has 12"


def test_anchor__another_root_at_the_same_size__is_refused(log_id: UUID) -> None:
    note = checkpoints.issue(log_id)
    state = anchors.checkpoint_of(note)
    forged = checkpoints.Checkpoint(state.origin, state.size, b"\x02" * 32).text()
    with pytest.raises(anchors.AnchorAheadError):
        anchors.keep(log_id, forged + "\n— x AAAAAAAAAAAA\n")


def test_anchor__older_note__does_not_replace_the_newer(tenant_id: UUID, sealer: Sealer) -> None:
    changes(tenant_id, 2)
    sealer.drain()
    log = Head.objects.get(stream=0).log_id
    early = checkpoints.issue(log)
    changes(tenant_id, 2)
    sealer.drain()
    late = checkpoints.issue(log)
    anchors.keep(log, early)
    assert anchors.newest_note(log) == late


def test_epoch__former_log_without_a_note_of_its_size__is_still_exported(
    tenant_id: UUID, log_id: UUID, sealer: Sealer, tmp_path: Path
) -> None:
    """Nothing may be signed over the loss: what the newest note covers is handed over."""
    changes(tenant_id, 5)
    sealer.drain()
    checkpoints.issue(log_id)
    changes(tenant_id, 5)
    sealer.drain()
    checkpoints.issue(log_id)
    _restore_to(log_id, 27)
    epochs.open_epoch(_broken(log_id)[0])
    told = io.StringIO()
    call_command("audit_export", str(tenant_id), str(tmp_path), stdout=told)
    assert "platform-0: 25 entries" in told.getvalue()
    made = offboarding.write(tenant_id, tmp_path / "all.zip")
    assert (made.logs, made.entries) == (2, 26)
    call_command("audit_verify", bundle=tmp_path / "all.zip", stdout=told)
    assert "valid: 2 logs" in told.getvalue()


def test_epoch__former_log_that_no_note_fits__is_left_out_and_said(
    tenant_id: UUID, log_id: UUID, tmp_path: Path
) -> None:
    checkpoints.issue(log_id)
    _restore_to(log_id, 12)
    epochs.open_epoch(_broken(log_id)[0])
    left_out = io.StringIO()
    call_command("audit_export", str(tenant_id), str(tmp_path), stderr=left_out, verbosity=0)
    assert "platform-0: left out." in left_out.getvalue()
    assert offboarding.write(tenant_id, tmp_path / "all.zip").logs == 1
