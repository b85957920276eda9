"""An exported bundle and an offline proof convince an outsider; damaged ones convince nobody."""

import ast
import random
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import call_command

from audit.models import Event, Head
from audit.queries import proofs
from audit.sealing import checkpoints
from audit.sealing.keys import ring
from audit.sealing.sealer import Sealer
from kernel import db
from kernel.tenancy import tenant_context
from tests.audit.logs import changes, say

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


def test_bundle__erased_value__is_counted_and_still_valid(exported: Exported) -> None:
    openings = exported.directory / "openings.ndjson"
    assert openings.read_text().count("\n") == 1
    openings.write_text("")
    outcome = exported.verify()
    assert outcome.returncode == 0
    assert "1 erased values" in outcome.stdout


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
