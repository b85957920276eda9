"""A leaving tenant's file convinces an outsider, also after pruning and erasure."""

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from audit.jobs import offboard_tenant
from audit.models import Head, Stream
from audit.pruning.run import prune
from audit.sealing import checkpoints, headslog
from audit.sealing.keys import ring
from audit.sealing.sealer import Sealer
from audit.services.erasure import erase_subject
from kernel.tenancy import tenant_context
from tests.audit.aged import aged, month_of
from tests.audit.logs import change, changes, rows
from tests.audit.test_bundle import outsider
from tests.audit.test_pruning import keep

OLD = month_of(400)


class Leaver:
    """A tenant with a pruned month, an erased person, two streams and published heads."""

    def __init__(self, tenant: UUID, sealer: Sealer, directory: Path) -> None:
        self.tenant, self.file = tenant, directory / "bundle.zip"
        aged(tenant, OLD, 258, email="ann@example.org")
        aged(tenant, OLD, 2, stream=Stream.TENANT)
        sealer.drain()
        with tenant_context(tenant):
            self.head = Head.objects.get(stream=Stream.PLATFORM)
            checkpoints.issue(self.head.log_id)
        keep(tenant, 90)
        prune(tenant)
        changes(tenant, 3)
        with tenant_context(tenant):
            for person in ("usr_1", "usr_2"):
                change(before=None, after={"email": f"{person}@x.example"}, subject_id=person)
            change(before=None, after={"text": "x" * 70_000})
            erase_subject(tenant, "usr_1")
        sealer.drain()
        headslog.publish()
        self.vkey = ring().verifiers(self.head.origin)[0][0].vkey
        self.told = io.StringIO()
        call_command("audit_offboard", str(tenant), str(self.file), stdout=self.told)

    def repack(self, path: str, content: bytes | None) -> Path:
        """Write the file anew with one member changed, or left out."""
        target = self.file.with_name("changed.zip")
        with zipfile.ZipFile(self.file) as old, zipfile.ZipFile(target, "w") as new:
            for name in old.namelist():
                if name != path:
                    new.writestr(name, old.read(name))
                elif content is not None:
                    new.writestr(name, content)
        return target


@pytest.fixture
def leaver(tenant_id: UUID, sealer: Sealer, tmp_path: Path) -> Leaver:
    return Leaver(tenant_id, sealer, tmp_path)


def test_offboarding__after_pruning_and_erasure__is_shown_to_an_outsider(leaver: Leaver) -> None:
    outcome = outsider(leaver.file, "--vkey", leaver.vkey, script="verify_offboarding.py")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "1 erased values, 258 pruned" in outcome.stdout
    assert "2 pruned" in outcome.stdout
    assert outcome.stdout.count("valid: entry ") == 2  # each log's state in the heads log
    assert "valid: 2 logs of ten_" in outcome.stdout
    assert leaver.file.stat().st_mode & 0o777 == 0o600
    inside = zipfile.ZipFile(leaver.file).namelist()
    assert {"README.txt", "verify_bundle.py", "verify_offboarding.py", "manifest.json"} <= set(
        inside
    )
    assert any(name.startswith("logs/platform-0/blobs/") for name in inside)
    assert "ann@example.org" not in str(zipfile.ZipFile(leaver.file).read(
        "logs/platform-0/openings.ndjson"))  # fmt: skip
    told = rows(
        "SELECT count(*) FROM audit_event WHERE tenant_id = %s AND action = 'audit.log.exported'",
        leaver.tenant,
    )
    assert told == [(1,)]


def test_offboarding__keys_replaced_since_the_logs_were_signed__needs_both(
    leaver: Leaver, sealer: Sealer, settings: Any, tmp_path: Path
) -> None:
    """The tenant's notes carry the former key; what fixes them in the log of heads, the new one."""
    settings.INNKEEPER_HOME = shutil.copytree(settings.INNKEEPER_HOME, tmp_path / "home")
    former = leaver.vkey
    call_command("audit_rotate_key", stdout=io.StringIO())
    sealer.drain()
    headslog.publish()
    file = tmp_path / "rotated.zip"
    call_command("audit_offboard", str(leaver.tenant), str(file), stdout=io.StringIO())
    (new, _), *_ = ring().verifiers(leaver.head.origin)
    script = "verify_offboarding.py"
    assert (
        "no Ed25519 key among those given" in outsider(file, "--vkey", former, script=script).stderr
    )
    outcome = outsider(file, "--vkey", former, "--vkey", new.vkey, script=script)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    call_command("audit_verify", bundle=file, stdout=io.StringIO())


def test_verify_command__bundle__shows_the_file_and_a_directory(
    leaver: Leaver, tmp_path: Path
) -> None:
    out = io.StringIO()
    call_command("audit_verify", bundle=leaver.file, stdout=out)
    assert "valid: 2 logs of ten_" in out.getvalue()
    call_command("audit_export", str(leaver.tenant), str(tmp_path / "out"), stdout=io.StringIO())
    call_command("audit_verify", bundle=tmp_path / "out" / "platform-0", stdout=out)
    assert "258 pruned" in out.getvalue()


@pytest.mark.parametrize(
    ("member", "content", "told"),
    [
        ("logs/platform-0/pruned", None, "pruned is missing"),
        ("logs/platform-0/tile/0/000", b"x" * 8192, "differs from the manifest"),
        ("manifest.json", b'{"files": {"../../etc/hosts": ""}}', "lies outside the bundle"),
    ],
)
def test_offboarding__changed_file__is_refuted(
    leaver: Leaver, member: str, content: bytes | None, told: str
) -> None:
    changed = leaver.repack(member, content)
    with pytest.raises(CommandError, match=told):
        call_command("audit_verify", bundle=changed, stdout=io.StringIO())


def test_bundle__pruned_without_the_statement__is_refuted(leaver: Leaver, tmp_path: Path) -> None:
    call_command("audit_export", str(leaver.tenant), str(tmp_path / "out"), stdout=io.StringIO())
    directory = tmp_path / "out" / "platform-0"
    note = (directory / "pruned").read_text()
    assert outsider("bundle", directory, "--vkey", leaver.vkey).returncode == 0
    (directory / "pruned").write_text(note.replace("\n0 258\n", "\n0 257\n"))
    assert "signature is bad" in outsider("bundle", directory, "--vkey", leaver.vkey).stderr
    (directory / "pruned").unlink()
    refuted = outsider("bundle", directory, "--vkey", leaver.vkey)
    assert "entry 0 is missing and nobody signed that it was pruned" in refuted.stderr


def test_job__tenant_closed__writes_the_file_once(tenant_id: UUID, sealer: Sealer) -> None:
    change()
    sealer.drain()
    offboard_tenant.function(tenant_id=str(tenant_id), closed_at="2026-01-02T03:04:05+00:00")
    offboard_tenant.function(tenant_id=str(tenant_id), closed_at="2026-01-02T03:04:05+00:00")
    counted = "SELECT count(*) FROM audit_event WHERE tenant_id = %s AND action = %s"
    assert rows(counted, tenant_id, "audit.log.exported") == [(1,)]


def test_command__file_exists_or_nothing_sealed__is_refused(
    tenant_id: UUID, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(CommandError, match="exists already"):
        call_command("audit_offboard", str(tenant_id), str(taken))
    with pytest.raises(CommandError, match="Nothing of this tenant"):
        call_command("audit_offboard", str(tenant_id), str(tmp_path / "new"))


def test_command__drop__lets_the_entries_go_and_the_log_verifies(
    tenant_id: UUID, sealer: Sealer, tmp_path: Path
) -> None:
    aged(tenant_id, OLD, 4)
    sealer.drain()
    out = io.StringIO()
    call_command("audit_offboard", str(tenant_id), str(tmp_path / "b.zip"), drop=True, stdout=out)
    assert "4 entries pruned" in out.getvalue()
    old = rows("SELECT count(*) FROM audit_event WHERE tenant_id = %s AND actor_id = 'usr_old'",
               tenant_id)  # fmt: skip
    assert old == [(0,)]
