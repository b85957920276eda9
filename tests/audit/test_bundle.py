"""An exported bundle and an offline proof convince an outsider; damaged ones convince nobody."""

import ast
import random
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import call_command

from audit.exports import bundle, erasures
from audit.models import Event, Head, Stream
from audit.queries import proofs
from audit.sealing import checkpoints
from audit.sealing.keys import ring
from audit.sealing.sealer import Sealer
from audit.services.erasure import erase_subject
from kernel import db
from kernel.errors import Unavailable
from kernel.tenancy import tenant_context
from tests.audit.logs import change, changes, erased_before, say
from tests.audit.superuser import disarmed

SCRIPT = Path(__file__).parents[2] / "audit" / "verifier" / "verify_bundle.py"
SIZE = 517


def outsider(*arguments: object, script: str = SCRIPT.name) -> subprocess.CompletedProcess[str]:
    """Run the script as an auditor would: another process, nothing of ours on its path."""
    command = [sys.executable, "-P", str(SCRIPT.with_name(script)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)


class Exported:
    """A tenant's log of 517 entries with personal values, written as a bundle."""

    def __init__(self, tenant: UUID, sealer: Sealer, directory: Path) -> None:
        with tenant_context(tenant), db.atomic():
            say(after={"email": "ann@example.org"}, before=None)
        changes(tenant, 255)
        sealer.drain()
        with tenant_context(tenant):
            self.head = Head.objects.get(stream=0)
            self.early = checkpoints.issue(self.head.log_id)
            changes(tenant, SIZE - 256)
            sealer.drain()
            call_command("audit_export", str(tenant), str(directory), verbosity=0)
        self.directory = directory / "platform-0"
        self.vkey = ring().verifiers(self.head.origin)[0][0].vkey

    def verify(self, *more: object) -> subprocess.CompletedProcess[str]:
        return outsider("bundle", self.directory, "--vkey", self.vkey, *more)


@pytest.fixture
def exported(tenant_id: UUID, sealer: Sealer, tmp_path: Path) -> Exported:
    return Exported(tenant_id, sealer, tmp_path)


def test_script__imports__only_standard_library_and_cryptography() -> None:
    found = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    assert found - set(sys.stdlib_module_names) == {"cryptography"}


def test_bundle__intact__is_shown(exported: Exported, tmp_path: Path) -> None:
    early = tmp_path / "early"
    early.write_text(exported.early)
    outcome = exported.verify("--known", early)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert outcome.stdout == (
        f"valid: {SIZE} entries of {exported.head.origin}, grown from 256, 0 erased values\n"
    )


def test_bundle__files__are_exactly_the_tiles_of_its_size(exported: Exported) -> None:
    names = {
        str(path.relative_to(exported.directory))
        for path in exported.directory.rglob("*")
        if path.is_file()
    }
    assert names == {
        "checkpoint",
        "vkeys",
        "openings.ndjson",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/5",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/5",
    }


def test_bundle__another_key__is_refuted(exported: Exported) -> None:
    other = "x" + exported.vkey
    outcome = outsider("bundle", exported.directory, "--vkey", other)
    assert (outcome.returncode, outcome.stdout) == (1, "")


def test_bundle__known_state_of_another_history__is_refuted(
    exported: Exported, tmp_path: Path
) -> None:
    forged = checkpoints.sign(
        checkpoints.Checkpoint(exported.head.origin, 256, b"\x01" * 32).text(),
        ring().signers(exported.head.origin),
    )
    early = tmp_path / "early"
    early.write_text(forged.encode())
    outcome = exported.verify("--known", early)
    assert outcome.returncode == 1
    assert "does not begin with the known state of 256" in outcome.stderr


def test_bundle__any_flipped_bit__is_refuted(exported: Exported) -> None:
    chance = random.Random(2)
    files = [path for path in sorted(exported.directory.rglob("*")) if path.is_file()]
    for path in files:
        if path.name == "vkeys":
            continue  # told, not trusted: the key comes from elsewhere
        content = path.read_bytes()
        for _ in range(3):
            damaged = bytearray(content)
            bit = chance.randrange(_signed_bits(path, content))
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            outcome = exported.verify()
            assert outcome.returncode == 1, (path, bit)
            assert outcome.stderr.startswith("REFUTED: ")
        path.write_bytes(content)
    assert exported.verify().returncode == 0


def _signed_bits(path: Path, content: bytes) -> int:
    """Count the bits that matter: lines of keys unknown to the reader may say anything."""
    if path.name == "checkpoint":
        text, _, tail = content.decode().rpartition("\n\n")
        return 8 * len((text + "\n\n" + tail.split("\n")[0]).encode())
    return 8 * len(content)


def test_bundle__missing_or_cut_file__is_refuted(exported: Exported) -> None:
    entries = exported.directory / "tile" / "entries" / "002.p" / "5"
    content = entries.read_bytes()
    entries.write_bytes(content[:-1])
    assert "cut off" in exported.verify().stderr
    entries.unlink()
    assert "is missing" in exported.verify().stderr


def test_bundle__opening_torn_out__is_refuted(exported: Exported) -> None:
    openings = exported.directory / "openings.ndjson"
    assert openings.read_text().count("\n") == 1
    openings.write_text("")
    refuted = exported.verify().stderr
    assert "entry 0: the value of changes.after.email has no opening, and no erasure" in refuted


class Erased:
    """Both logs of a tenant of which a person was erased, as bundles."""

    def __init__(self, tenant: UUID, sealer: Sealer, directory: Path) -> None:
        self.tenant, self.directory, self.sealer = tenant, directory, sealer
        for stream in Stream:
            for person in ("usr_1", "usr_2"):
                change(before=None, after={"email": f"{person}@x.example", "text": "x" * 70_000},
                       subject_id=person, stream=stream)  # fmt: skip

    def export(self) -> None:
        self.sealer.drain()
        call_command("audit_export", str(self.tenant), str(self.directory), verbosity=0)

    def verify(self, name: str) -> subprocess.CompletedProcess[str]:
        origin = (self.directory / name / "checkpoint").read_text().split("\n")[0]
        vkey = ring().verifiers(origin)[0][0].vkey
        return outsider("bundle", self.directory / name, "--vkey", vkey)


@pytest.fixture
def erased(tenant_id: UUID, sealer: Sealer, tmp_path: Path) -> Erased:
    return Erased(tenant_id, sealer, tmp_path)


@pytest.mark.parametrize("name", ["platform-0", "tenant-0"])
def test_bundle__erased_person__is_counted_by_the_proven_erasure(erased: Erased, name: str) -> None:
    erase_subject(erased.tenant, "usr_1")
    erased.export()
    assert "1 erased values" in erased.verify(name).stdout
    record = erased.directory / name / "erased.ndjson"
    whole = record.read_text()
    record.write_text(whole.replace("changes.after.email", "changes.after.name"))
    assert "no erasure tells of that" in erased.verify(name).stderr
    record.write_text(whole)
    (proof,) = (erased.directory / name / "erasures").iterdir()
    proof.write_text(proof.read_text().replace("extra ey", "extra ez"))
    assert "another root" in erased.verify(name).stderr
    proof.unlink()
    assert "no erasure tells of that" in erased.verify(name).stderr


def test_bundle__erased_before_erasures_said_what_they_took__is_counted_by_their_number(
    erased: Erased,
) -> None:
    erased_before(erased.tenant, "usr_1", 2)
    erased.export()
    assert "1 erased values" in erased.verify("tenant-0").stdout
    (proof,) = (erased.directory / "tenant-0" / "erasures").iterdir()
    proof.unlink()
    assert "no erasure tells of that" in erased.verify("tenant-0").stderr


def test_bundle__proof_of_another_entry_as_an_erasure__is_refuted(erased: Erased) -> None:
    erased.export()
    with tenant_context(erased.tenant):
        proof = proofs.inclusion(Event.objects.filter(stream=Stream.TENANT)[0])
    assert proof is not None
    folder = erased.directory / "tenant-0" / "erasures"
    folder.mkdir()
    (folder / "x.tlog-proof").write_text(proof.tlog().encode())
    assert "is of another entry" in erased.verify("tenant-0").stderr


def test_bundle__erasure_not_yet_sealed__waits_and_is_refused(
    erased: Erased, monkeypatch: pytest.MonkeyPatch
) -> None:
    erased.sealer.drain()
    erase_subject(erased.tenant, "usr_1")
    monkeypatch.setattr(erasures, "LONGEST_WAIT", 0.0)
    with pytest.raises(Unavailable, match="not been sealed yet"):
        bundle.write(Head.objects.get(stream=Stream.TENANT), erased.directory)


@pytest.mark.parametrize("doc", ["[]", '{"changes.after.email": 7}'])
def test_bundle__stored_opening_is_none__is_refused(erased: Erased, doc: str) -> None:
    erased.sealer.drain()
    with disarmed() as link:
        link.execute("UPDATE audit_pii SET doc = %s WHERE tenant_id = %s", [doc, erased.tenant])
    with pytest.raises(Unavailable, match="openings that are none"):
        bundle.write(Head.objects.get(stream=Stream.TENANT), erased.directory)


def test_bundle__large_change_left_out_or_altered__is_refuted(erased: Erased) -> None:
    erased.export()
    assert "0 erased values" in erased.verify("tenant-0").stdout
    blob = next((erased.directory / "tenant-0" / "blobs").iterdir())
    blob.write_bytes(b"{}")
    assert "differs from the digest" in erased.verify("tenant-0").stderr
    blob.unlink()
    assert "is missing" in erased.verify("tenant-0").stderr


def test_proof__of_one_entry__is_shown_offline(exported: Exported, tmp_path: Path) -> None:
    with tenant_context(exported.head.tenant_id):
        proof = proofs.inclusion(Event.objects.order_by("id")[100])
    assert proof is not None
    file = tmp_path / "entry.tlog-proof"
    file.write_text(proof.tlog().encode())
    outcome = outsider("proof", file, "--vkey", exported.vkey)
    assert outcome.returncode == 0
    assert outcome.stdout.startswith(f"valid: entry {proof.index} of ")
    file.write_text(proof.tlog().encode().replace("index ", "index 1", 1))
    assert outsider("proof", file, "--vkey", exported.vkey).returncode == 1
