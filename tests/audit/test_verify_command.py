"""`audit_verify`: what it prints, how it ends, where it may begin."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audit.sealing import checkpoints
from audit.sealing.sealer import Sealer
from tests.audit.logs import changes
from tests.audit.samples import FORGE, SIZE, Sample, rebuild
from tests.audit.superuser import disarmed


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
