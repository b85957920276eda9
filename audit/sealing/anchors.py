"""The file anchor: each log's newest published checkpoint, outside the database.

``INNKEEPER_HOME/audit-anchors/<log id>.note`` holds it verbatim. A restored or rebuilt database
that does not contain that state is found out by it. Put the directory on another machine's disk
where you can.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings

from audit.c2sp.checkpoint import Checkpoint, parse_checkpoint
from audit.c2sp.note import parse
from kernel.files import locked, write_private

_NAME: Final = re.compile("[0-9a-f]{32}")


class AnchorAheadError(RuntimeError):
    """The anchor knows another root at this size: this note would fork the log."""


class AnchorUnreadableError(RuntimeError):
    """What lies in an anchor's place is no note: nobody knows which state was published."""


def directory() -> Path:
    """Return where the anchored notes lie."""
    return Path(settings.INNKEEPER_HOME) / "audit-anchors"


def keep(log_id: UUID, note: str) -> None:
    """Anchor a note before it leaves the process; older notes than the anchored one change nothing.

    Raises:
        AnchorAheadError: the anchored note has the same size and another root.
    """
    path = _path(log_id)
    with locked(path):
        known, new = newest(log_id), checkpoint_of(note)
        if known is not None and known.size == new.size and known.root != new.root:
            raise AnchorAheadError(f"log {log_id} has two roots at size {new.size}")
        if known is None or known.size < new.size:
            write_private(path, note)


def newest(log_id: UUID) -> Checkpoint | None:
    """Return the newest anchored checkpoint of a log.

    Raises:
        AnchorUnreadableError: the file holds something else.
    """
    try:
        note = newest_note(log_id)
        return checkpoint_of(note) if note is not None else None
    except ValueError as error:
        raise AnchorUnreadableError(f"the anchor of log {log_id} is no note: {error}") from error


def newest_note(log_id: UUID) -> str | None:
    """Return the newest anchored note of a log, verbatim."""
    path = _path(log_id)
    return path.read_text() if path.exists() else None


def known_logs() -> Iterator[UUID]:
    """Go through the logs that have an anchored note."""
    if directory().exists():
        for path in sorted(directory().glob("*.note")):
            if _NAME.fullmatch(path.stem):
                yield UUID(path.stem)


def checkpoint_of(note: str) -> Checkpoint:
    """Return the checkpoint that a note signs."""
    return parse_checkpoint(parse(note).text)


def _path(log_id: UUID) -> Path:
    return directory() / f"{log_id.hex}.note"
