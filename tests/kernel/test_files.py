"""Files that are whole, private and on the disk."""

import os
import stat
from pathlib import Path

import pytest

from kernel import files, keyfile


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is brought to the disk from now on, in order."""
    paths: list[Path] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return paths


def test_key__made_at_the_first_call__is_kept_private_and_on_the_disk(
    tmp_path: Path, synced: list[Path]
) -> None:
    path = tmp_path / "keys" / "pepper"

    first = keyfile.kept(path, lambda: b"one")
    again = keyfile.kept(path, lambda: b"two")

    assert (first, again) == (b"one", b"one")
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (
        0o600, 0o700,
    )  # fmt: skip
    assert synced[-1] == path.parent
    assert sorted(path.parent.iterdir()) == [path]


def test_write__over_a_file__replaces_it_whole_and_syncs_its_name(
    tmp_path: Path, synced: list[Path]
) -> None:
    path = tmp_path / "note"
    files.write_private(path, "before")

    files.write_private(path, b"after")

    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"after", 0o600)
    assert synced[-1] == tmp_path
    assert sorted(tmp_path.iterdir()) == [path]


def test_write__that_fails__leaves_the_former_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "note"
    files.write_private(path, "before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        files.write_private(path, "after")

    assert path.read_text() == "before"
    assert sorted(tmp_path.iterdir()) == [path]
