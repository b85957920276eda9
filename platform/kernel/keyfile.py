"""Key files of an installation: made once, private, complete or absent."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from kernel.files import sync_directory


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """Read the file, making it (0600, in a 0700 directory) at the first call of any process.

    The file appears by a hard link after it is written and flushed: no reader sees half a key,
    and of two first processes one wins. It is on the disk, name and all, before it is used.
    """
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(make())
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(temporary)
    temporary.unlink()
    sync_directory(path.parent)
    return path.read_bytes()
