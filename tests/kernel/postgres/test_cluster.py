"""The life of a real server: these tests start, break and stop one."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from kernel.postgres.account import ServerAccount
from kernel.postgres.cluster import Cluster
from kernel.postgres.errors import ForeignDirectoryError, MajorVersionError, ProviderError
from kernel.postgres.process import Postmaster
from tests.kernel.postgres.conftest import cluster_at

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs several accounts")


def ask(cluster: Cluster, statement: str) -> str:
    with psycopg.connect(cluster.bootstrap.dsn(), autocommit=True) as link:
        return str(link.execute(statement).fetchone()[0])


def written(cluster: Cluster) -> str:
    return "".join(path.read_text() for path in cluster.layout.log.glob("*.log"))


def test_start__on_an_empty_root__serves_version_18_on_a_private_socket(
    shared_cluster: Cluster,
) -> None:
    status = shared_cluster.status()

    assert status.running
    assert status.version.startswith("18.")
    assert ask(shared_cluster, "SHOW listen_addresses") == ""
    for private in (status.data, status.socket, shared_cluster.layout.log):
        assert private.stat().st_mode & 0o777 == 0o700


def test_start__on_an_empty_root__sorts_by_code_point_and_checks_pages(
    shared_cluster: Cluster,
) -> None:
    query = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'postgres'"

    assert ask(shared_cluster, query) == "bC.UTF-8"
    assert ask(shared_cluster, "SHOW data_checksums") == "on"


def test_start__beside_a_running_server__attaches_to_it(shared_cluster: Cluster) -> None:
    second = cluster_at(shared_cluster.layout.root)

    assert second.start() is False
    assert second.status().pid == shared_cluster.status().pid


def test_start__from_eight_launchers_at_once__makes_one_server(short_directory: Path) -> None:
    clusters = [cluster_at(short_directory / "root") for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda cluster: cluster.start(), clusters))

    assert sorted(started) == [False] * 7 + [True]
    assert len({cluster.status().pid for cluster in clusters}) == 1
    assert clusters[started.index(True)].stop() is True


def test_start__after_the_postmaster_was_killed__has_the_data(cluster: Cluster) -> None:
    with psycopg.connect(cluster.bootstrap.dsn(), autocommit=True) as link:
        link.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        link.execute("CHECKPOINT")
        os.kill(cluster.status().pid, signal.SIGKILL)

    assert cluster_at(cluster.layout.root).start() is True

    assert ask(cluster, "SELECT answer FROM kept") == "42"


def test_start__beside_a_lock_of_a_number_taken_by_another_program__is_not_fooled(
    cluster: Cluster,
) -> None:
    cluster.stop()
    lock = cluster.layout.data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{cluster.layout.data}\n1\n5432\n{cluster.layout.socket}\n")

    assert cluster.status().running is False
    assert cluster.start() is True


def test_stop__with_a_client_connected__does_not_wait_for_it(cluster: Cluster) -> None:
    with psycopg.connect(cluster.bootstrap.dsn(), autocommit=True) as link:
        assert cluster.stop(seconds=10) is True
        with pytest.raises(psycopg.OperationalError):
            link.execute("SELECT 1")

    assert cluster.stop() is False


def test_start__on_data_of_another_major__refuses_with_the_way_out(cluster: Cluster) -> None:
    cluster.stop()
    (cluster.layout.data / "PG_VERSION").write_text("17\n")

    with pytest.raises(MajorVersionError, match=r"PostgreSQL 17(.|\n)*pg_dump(.|\n)*pg_restore"):
        cluster.start()


def test_start__on_a_directory_that_is_no_cluster__leaves_it_alone(short_directory: Path) -> None:
    cluster = cluster_at(short_directory / "root")
    cluster.layout.make_root(cluster.account)
    cluster.layout.data.mkdir(mode=0o700)
    shutil.chown(cluster.layout.data, cluster.account.uid, cluster.account.gid)
    (cluster.layout.data / "letters.txt").write_text("mine")

    with pytest.raises(ForeignDirectoryError, match="not touched"):
        cluster.start()

    assert (cluster.layout.data / "letters.txt").read_text() == "mine"


def test_start__after_a_crash_of_initdb__begins_anew(short_directory: Path) -> None:
    cluster = cluster_at(short_directory / "root")
    cluster.layout.make_root(cluster.account)
    (cluster.layout.root / "staging-cluster").mkdir()
    (cluster.layout.root / "staging-cluster" / "PG_VERSION").write_text("18\n")

    assert cluster.start() is True
    assert cluster.stop() is True


def test_start__from_a_dying_launcher__leaves_a_living_server(short_directory: Path) -> None:
    code = (
        "import os, pathlib, signal\n"
        "from tests.kernel.postgres.conftest import cluster_at\n"
        f"cluster_at(pathlib.Path({str(short_directory / 'root')!r})).start()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    cluster = cluster_at(short_directory / "root")

    died = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)

    assert died.returncode == -signal.SIGKILL, died.stderr
    assert cluster.start() is False
    assert ask(cluster, "SELECT 1") == "1"
    assert cluster.stop() is True


def test_server__started_by_root__runs_as_another_account(shared_cluster: Cluster) -> None:
    server = Postmaster.read(shared_cluster.layout.data)
    assert server is not None

    owner = Path(f"/proc/{server.pid}").stat().st_uid

    assert owner == ServerAccount.choose().uid
    assert owner != 0


@AS_ROOT
def test_socket__for_another_account__refuses_every_role(shared_cluster: Cluster) -> None:
    daemon = pwd.getpwnam("daemon")
    other = ServerAccount("daemon", daemon.pw_uid, daemon.pw_gid)
    programs = shared_cluster.provider.reachable_for(other, shared_cluster.layout.runtime)
    socket = shared_cluster.layout.socket
    # Even the directory is closed; open it to see that the server refuses by itself.
    socket.chmod(0o755)
    psql = [str(programs.bin / "psql"), shared_cluster.bootstrap.dsn(), "-c", "SELECT 1"]

    refused = subprocess.run(
        psql, check=False, capture_output=True, text=True, user=other.uid, group=other.gid,
        extra_groups=[], cwd="/",
    )  # fmt: skip
    socket.chmod(0o700)

    assert refused.returncode != 0
    assert "Peer authentication failed" in refused.stderr


def test_log__of_a_failing_statement__holds_no_literal(shared_cluster: Cluster) -> None:
    for table in ("nowhere", "nowhere_later"):
        with pytest.raises(psycopg.errors.UndefinedTable):
            ask(shared_cluster, f"SELECT 'hunter2secret' FROM {table}")

    # Written by a process of its own and in order: the later line tells that the first is whole.
    deadline = time.monotonic() + 20
    while 'relation "nowhere_later" does not exist' not in (logs := written(shared_cluster)):
        assert time.monotonic() < deadline, logs
        time.sleep(0.02)
    assert 'relation "nowhere" does not exist' in logs
    assert "hunter2secret" not in logs


def test_start__with_wrong_binaries__says_which(short_directory: Path) -> None:
    cluster = cluster_at(short_directory / "root")
    folder = short_directory / "bin"
    folder.mkdir()
    (folder / "postgres").write_text("#!/bin/sh\necho nonsense\n")
    (folder / "postgres").chmod(0o755)
    cluster.provider = type(cluster.provider)(folder, "PG_BIN")

    with pytest.raises(ProviderError, match="nonsense"):
        cluster.start()
