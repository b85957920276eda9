"""Writes into a bundle what shows that openings which are gone were erased, and not torn out.

erased.ndjson               {"erasure", "event", "paths"}: what each erasure took, in whichever log
erasures/<id>.tlog-proof    the erasure's entry, which holds the digest of that
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from uuid import UUID

from audit.actions import PII_ERASED
from audit.encoding.erased import DIGEST
from audit.models import Event, Stream
from audit.queries import proofs
from audit.tree.proofs import TreeError
from kernel import db
from kernel.errors import Unavailable

LONGEST_WAIT: Final = 10.0
"""Seconds in which an erasure that has just been committed gets its place."""
_PAUSE: Final = 0.1
"""Between two looks at whether the sealer has placed an entry: it tells nobody when it has."""
# Of entries that still have their bytes: the others' openings are nobody's question.
_CONCERNED: Final = """
SELECT DISTINCT t.erasure FROM audit_leaf l
JOIN audit_event e ON e.id = l.event_id AND e.recorded_at = l.recorded_at
JOIN audit_erased t ON t.event_id = l.event_id
WHERE l.log_id = %s AND l.leaf_index < %s
"""
_TAKEN: Final = """
SELECT erasure::text, event_id::text, paths FROM audit_erased
WHERE erasure = ANY (%s) ORDER BY erasure, event_id
"""


def write(log_id: UUID, size: int, directory: Path) -> None:
    """Write the erasures that concern the first entries of a log, after its openings were written.

    Raises:
        kernel.errors.Unavailable: an erasure's entry has no place yet, or its log lacks hashes.
    """
    with db.cursor() as cursor:
        cursor.execute(_CONCERNED, [log_id, size])
        concerned = [row[0] for row in cursor.fetchall()]
        cursor.execute(_TAKEN, [concerned])
        taken = cursor.fetchall()
    if taken:
        with (directory / "erased.ndjson").open("w") as file:
            for erasure, event, paths in taken:
                line = {"erasure": erasure, "event": event, "paths": paths}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    for event in _entries(concerned):
        folder = directory / "erasures"
        folder.mkdir(exist_ok=True)
        (folder / f"{event.id}.tlog-proof").write_text(_proof(event))


def _entries(concerned: Iterable[UUID]) -> list[Event]:
    """Return the entries of these erasures, and of those that do not say what they took."""
    told = Event.objects.filter(action=PII_ERASED.name, stream=Stream.PLATFORM)
    wanted = set(concerned)
    return [one for one in told.order_by("id") if one.id in wanted or not _says_what(one)]


def _says_what(event: Event) -> bool:
    metadata = json.loads(bytes(event.leaf))["context"].get("metadata", {})
    return DIGEST in metadata or not metadata.get("values")


def _proof(event: Event) -> str:
    deadline = time.monotonic() + LONGEST_WAIT
    try:
        while (found := proofs.inclusion(event)) is None:
            if time.monotonic() > deadline:
                raise Unavailable("An erasure has not been sealed yet; try again.")
            time.sleep(_PAUSE)
    except TreeError as error:
        raise Unavailable("The stored log lacks hashes; see audit_verify.") from error
    return found.tlog().encode()
