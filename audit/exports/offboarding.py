"""What a tenant takes along: one ZIP file with all its logs, which needs no Innkeeper to verify.

manifest.json                  tenant, logs, and the SHA-256 of every other file
verify_*.py, README.txt        the verifier and how to call it
logs/<stream>-<epoch>/…        a bundle (:mod:`audit.exports.bundle`), and beside it
  checkpoints/<size>           every checkpoint that ever left
  heads.tlog-proof             that the instance's heads log fixed the log's newest published state
"""

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from audit.actions import EXPORTED
from audit.c2sp.proof import TlogProof
from audit.exports import bundle
from audit.models import HEADS_STREAM, PLATFORM_TENANT, Head, Stream
from audit.sealing.checkpoints import ForkRefusedError
from audit.sealing.tiles import DatabaseTiles
from audit.services import Context, audited, record
from audit.tree.proofs import inclusion_proof
from kernel import db
from kernel.errors import NotFound
from kernel.ids import TENANT, encode
from kernel.tenancy import tenant_context

SCRIPTS: Final = Path(__file__).parents[1] / "verifier"
_README: Final = """Your audit log, complete: entries, hashes, signed checkpoints, and the openings
of personal values that were not erased.

    pip install cryptography
    python verify_offboarding.py THIS.zip --vkey '<key>'

Use a verifier key (logs/*/vkeys) that you got earlier and over another way than with this file;
where keys were replaced, --vkey again for each that signed.
"""
_HEADS: Final = """
SELECT e.heads_log, e.leaf_index, e.leaf, c.size, c.note, h.origin
FROM audit_heads_entry e
JOIN audit_head h ON h.log_id = e.heads_log
JOIN LATERAL (SELECT size, note FROM audit_checkpoint c
              WHERE c.log_id = e.heads_log AND c.size > e.leaf_index
              ORDER BY c.size DESC LIMIT 1) c ON true
WHERE e.log_id = %s ORDER BY e.size DESC, e.heads_log LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Written:
    """A finished file: its digest, and how many entries of how many logs it holds."""

    path: Path
    digest: str
    entries: int
    logs: int


def write(tenant_id: UUID, path: Path, progress: Callable[[str], None] = lambda _: None) -> Written:
    """Write the tenant's file, mode 0600, and record that it was written.

    Memory stays bounded by one tile; the disk holds the logs twice while it is packed.

    Raises:
        kernel.errors.NotFound: nothing of the tenant has been sealed.
        kernel.errors.Unavailable: a stored log lacks entries that nobody announced.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as name, tenant_context(tenant_id):
        directory = Path(name)
        told = [told for head in _heads() if (told := _log(head, directory, progress))]
        for script in sorted(SCRIPTS.glob("verify_*.py")):
            (directory / script.name).write_bytes(script.read_bytes())
        (directory / "README.txt").write_text(_README)
        manifest = {
            "offboarding": 1,
            "tenant": encode(TENANT, tenant_id),
            "made_at": datetime.now(UTC).isoformat(),
            "logs": told,
            "files": dict(_digests(directory)),
        }
        (directory / "manifest.json").write_text(json.dumps(manifest, indent=1))
        digest = _pack(directory, path)
        entries = sum(log["size"] for log in told)
        with audited():
            record(
                action=EXPORTED.name,
                target_type="tenant",
                target_id=encode(TENANT, tenant_id),
                metadata={"form": "offboarding", "size": entries, "sha256": digest},
                context=Context("system"),
            )
    return Written(path, digest, entries, len(told))


def _heads() -> list[Head]:
    found = list(Head.objects.exclude(stream=HEADS_STREAM))
    if not found:
        raise NotFound("Nothing of this tenant has been sealed.")
    return found


def _log(head: Head, directory: Path, progress: Callable[[str], None]) -> dict[str, Any] | None:
    """Write one log; None for one of which nothing that was ever signed is left."""
    name = f"logs/{Stream(head.stream).name.lower()}-{head.epoch}"
    inner = directory / name
    try:
        size = bundle.write(head, inner)
    except ForkRefusedError as error:
        progress(f"{name}: left out. {error.detail}")
        return None
    (inner / "checkpoints").mkdir()
    with db.cursor() as cursor:
        cursor.execute("SELECT size, note FROM audit_checkpoint WHERE log_id = %s", [head.log_id])
        for known, note in cursor.fetchall():
            (inner / "checkpoints" / str(known)).write_text(note)
    told = {"directory": name, "origin": head.origin, "size": size}
    heads = _heads_proof(head.log_id)
    if heads is not None:
        origin, proof = heads
        (inner / "heads.tlog-proof").write_text(proof.encode())
        told["heads"] = origin
    progress(f"{name}: {size} entries of {head.origin}")
    return told


def _heads_proof(log_id: UUID) -> tuple[str, TlogProof] | None:
    """Prove offline what the heads log says of a log; None before it was ever published."""
    with db.use_alias("staff"), tenant_context(PLATFORM_TENANT):
        with db.cursor() as cursor:
            cursor.execute(_HEADS, [log_id])
            row = cursor.fetchone()
        if row is None:
            return None
        heads_log, index, leaf, size, note, origin = row
        path = inclusion_proof(DatabaseTiles(heads_log), index, size)
    return origin, TlogProof(index, tuple(path), note, bytes(leaf))


def _digests(directory: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(directory)), _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        found = sha256()
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()


def _pack(directory: Path, path: Path) -> str:
    """Pack the directory; the file is there whole or not at all."""
    with _beside(path) as part:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, _ in _digests(directory):
                archive.write(directory / name, name)
        part.chmod(0o600)
    return _digest(path)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
