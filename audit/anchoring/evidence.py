"""The newest evidence of each anchor, outside the database, in the form that other tools read.

``audit-anchors/rfc3161/<name>.note`` and ``.tsr`` for ``openssl ts -verify``;
``audit-anchors/witness/<name>.note`` with the cosignature, for any C2SP tool.
"""

import re
from pathlib import Path
from typing import Final
from uuid import UUID

from audit.sealing.anchors import directory
from kernel import db
from kernel.files import write_private

_ODD = re.compile(r"[^A-Za-z0-9.-]+")
_TSR: Final = ".tsr"


def keep(kind: str, name: str, note: str, proof: str) -> None:
    """Keep a note with its evidence; the one before it is replaced.

    Raises:
        OSError: the directory cannot be written.
    """
    path = place(kind, name)
    if kind == "rfc3161":
        write_private(path, note)
        write_private(path.with_suffix(_TSR), bytes.fromhex(proof))
    else:
        write_private(path, proof)


def place(kind: str, name: str) -> Path:
    """Return where the note of an anchor lies."""
    return directory() / kind / (_ODD.sub("_", name.partition(" ")[2]) + ".note")


def cosigned(log_id: UUID, size: int, note: str) -> str:
    """Return a note of the log with the lines of all witnesses that cosigned it."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT proof FROM audit_anchor "
            "WHERE log_id = %s AND kind = 'witness' AND size = %s ORDER BY proof",
            [log_id, size],
        )
        return note + "".join(str(proof).removeprefix(note) for (proof,) in cursor.fetchall())
