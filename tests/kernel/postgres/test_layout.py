import os
from pathlib import Path

import pytest

from kernel.postgres.account import ServerAccount
from kernel.postgres.errors import ForeignDirectoryError, PostgresError
from kernel.postgres.layout import Layout

SOMEBODY = ServerAccount("somebody", 54321, 54321)


def test_layout__of_a_short_home__keeps_everything_together() -> None:
    layout = Layout.of_home(Path("/srv/innkeeper"), SOMEBODY)

    assert layout.root == Path("/srv/innkeeper/postgres")
    assert layout.socket == Path("/srv/innkeeper/postgres/socket")
    assert layout.note == ""


def test_layout__of_a_path_too_long_for_a_socket__moves_the_socket_and_says_so() -> None:
    home = Path("/srv") / ("x" * 100)

    layout = Layout.of_home(home, SOMEBODY)

    assert layout.root == home / "postgres"
    assert layout.socket.name.startswith("innkeeper-54321-")
    assert len(bytes(layout.socket)) < 50
    assert str(layout.socket) in layout.note
    assert Layout.of_home(home, SOMEBODY).socket == layout.socket


def test_layout__of_a_home_closed_to_the_server__lies_elsewhere_and_says_so(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o700)

    layout = Layout.of_home(tmp_path, SOMEBODY)

    assert layout.root.parent == Path("/var/lib/innkeeper")
    assert str(tmp_path) in layout.note


def test_layout__of_a_closed_home_with_data__stays_there_rather_than_start_empty(
    tmp_path: Path,
) -> None:
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("18\n")
    tmp_path.chmod(0o700)

    layout = Layout.of_home(tmp_path, SOMEBODY)

    assert layout.root == tmp_path / "postgres"


def test_make_rest__with_a_directory_of_somebody_else__refuses_and_changes_nothing(
    short_directory: Path,
) -> None:
    account = ServerAccount.choose()
    layout = Layout.at(short_directory / "root", account)
    layout.root.mkdir()
    layout.root.chmod(0o711)
    layout.conf.symlink_to(short_directory)

    with pytest.raises(ForeignDirectoryError, match="belongs to user id"):
        layout.make_rest(account)

    assert layout.conf.is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends the server another account")
def test_make_root__behind_a_closed_parent__refuses_and_opens_nothing(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(PostgresError, match="cannot reach"):
        Layout.at(closed / "root", SOMEBODY).make_root(SOMEBODY)

    assert closed.stat().st_mode & 0o777 == 0o700
