"""Files of the archive: a JSON object a line, compressed, durable before anybody relies on them."""

import gzip
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from django.conf import settings

from kernel.files import sync_directory, write_private

_PIECE: Final = 1024 * 1024


@dataclass(slots=True)
class Written:
    """What went into a file: how many lines, the SHA-256 of their text, first and last time."""

    events: int = 0
    content: str = ""
    first_at: datetime | None = None
    last_at: datetime | None = None


def directory() -> Path:
    """Name the archive of this installation."""
    return Path(settings.INNKEEPER_HOME) / "archive" / "usage"


def folder_of(month: date) -> Path:
    """Give the folder of a month, made where it is missing."""
    folder = directory() / f"{month:%Y-%m}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write(path: Path, events: Iterable[tuple[datetime, str]]) -> Written:
    """Stream events, each with its time, into a new file (0600), on the disk when this returns."""
    found, digest = Written(), hashlib.sha256()
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=6) as file:
            for at, text in events:
                line = text.encode() + b"\n"
                file.write(line)
                digest.update(line)
                found.events += 1
                found.first_at = found.first_at or at
                found.last_at = at
        raw.flush()
        os.fsync(raw.fileno())
    sync_directory(path.parent)
    found.content = digest.hexdigest()
    return found


def write_manifest(month: date, files: list[dict[str, Any]]) -> None:
    """Say beside the files of a month what they hold."""
    content = {"month": month, "format": "ndjson+gzip", "files": files}
    text = orjson.dumps(content, option=orjson.OPT_INDENT_2)
    write_private(folder_of(month) / "manifest.json", text)


def read_back(path: Path) -> tuple[int, str]:
    """Count a file's lines and digest its content, as decompressed from the disk."""
    lines, digest = 0, hashlib.sha256()
    with gzip.open(path, "rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            lines += piece.count(b"\n")
    return lines, digest.hexdigest()


def checksum(path: Path) -> str:
    """Digest a file as it lies on the disk, as ``sha256sum`` does.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
