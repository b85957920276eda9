"""A log as a ZIP file that is streamed: rows, the signed note, and a manifest that proves them.

entries.csv | entries.parquet   one row for each place (:mod:`audit.exports.table`)
checkpoint, vkeys               the signed note, the keys that may sign
pruned                          the signed statement of what retention has let go, if anything
manifest.json                   range, tree head, proof, SHA-256 of every other file

The proof: begin with `proof.before`, the roots of the perfect subtrees left of `first`, add the
hashes of the rows in order, and the root is the note's.
"""

import json
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, BinaryIO, Final, cast
from uuid import UUID

from audit.exports import table
from audit.exports.writers import FORMS, Counted
from audit.models import Head
from audit.queries import retention
from audit.queries.logs import Published
from audit.sealing.keys import ring
from audit.sealing.tiles import DatabaseTiles
from audit.tree.proofs import frontier_at
from kernel.tenancy import tenant_context

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class Drain:
    """The ZIP file's end that is being written; what was written is taken away at once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep a piece until it is taken."""
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def take(self) -> bytes:
        """Return what was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def stream(
    form: str, head: Head, published: Published, tenant_id: UUID, *, first: int = 0
) -> Iterator[bytes]:
    """Give the ZIP file piece by piece; memory stays bounded by one batch.

    It enters the tenant by itself: a response is streamed after its view has ended.
    """
    with tenant_context(tenant_id):
        frontier = frontier_at(DatabaseTiles(head.log_id), first) if first else None
        pruned = retention.pruned_of(head.log_id)
    drain = Drain()
    digests: dict[str, str] = {}
    with zipfile.ZipFile(cast(BinaryIO, drain), "w") as archive:
        name = f"entries.{form}"
        info = zipfile.ZipInfo(name, _EPOCH)
        info.compress_type = zipfile.ZIP_DEFLATED if form == "csv" else zipfile.ZIP_STORED
        digest = sha256()
        with archive.open(info, "w", force_zip64=True) as member:
            writer = FORMS[form](Counted(cast(BinaryIO, member), digest).as_file())
            for rows in table.batches(tenant_id, head.log_id, first, published.size):
                writer.write(rows)
                yield drain.take()
            writer.close()
        digests[name] = digest.hexdigest()
        keys = [key.vkey for pair in ring().verifiers(head.origin) for key in pair]
        texts = {"checkpoint": published.note, "vkeys": "".join(f"{key}\n" for key in keys)}
        if pruned is not None:
            texts["pruned"] = pruned.statement
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), text)
            digests[name] = sha256(text.encode()).hexdigest()
        before = frontier.hashes if frontier is not None else []
        manifest = _manifest(form, head, published, first=first, before=before, digests=digests)
        archive.writestr(zipfile.ZipInfo("manifest.json", _EPOCH), json.dumps(manifest, indent=1))
    yield drain.take()


def _manifest(
    form: str,
    head: Head,
    published: Published,
    *,
    first: int,
    before: list[bytes],
    digests: dict[str, str],
) -> dict[str, Any]:
    return {
        "export": 1,
        "format": form,
        "log": head.log_id.hex,
        "origin": head.origin,
        "first": first,
        "size": published.size,
        "root": b64encode(published.root).decode(),
        "checkpoint": published.note,
        "proof": {"before": [b64encode(one).decode() for one in before]},
        "files": digests,
    }
