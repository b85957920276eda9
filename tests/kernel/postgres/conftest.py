"""Real clusters, away from the session's own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.postgres.account import ServerAccount
from kernel.postgres.cluster import Cluster
from kernel.postgres.layout import Layout
from kernel.postgres.provider import Provider


def cluster_at(root: Path) -> Cluster:
    account = ServerAccount.choose()
    return Cluster(Layout.at(root, account), Provider.find(), account, throwaway=True)


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A directory that other accounts can reach and whose path fits a socket."""
    made = Path(tempfile.mkdtemp(prefix="innkeeper-pg-", dir="/tmp"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def cluster(short_directory: Path) -> Iterator[Cluster]:
    """A started cluster of its own, for tests that break it."""
    made = cluster_at(short_directory / "root")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[Cluster]:
    """A started cluster for tests that only look."""
    folder = Path(tempfile.mkdtemp(prefix="innkeeper-pg-", dir="/tmp"))
    folder.chmod(0o711)
    made = cluster_at(folder / "root")
    made.start()
    yield made
    made.stop()
    shutil.rmtree(folder)
