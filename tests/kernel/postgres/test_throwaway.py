import os
import signal
import subprocess
import sys
from pathlib import Path

from kernel.postgres.process import Postmaster
from kernel.postgres.throwaway import ThrowawayCluster, sweep


def test_throwaway__with_two_users__ends_with_the_last() -> None:
    first = ThrowawayCluster.create()
    second = ThrowawayCluster.join(first.root)
    assert second is not None

    first.leave()
    still_running = second.cluster.status().running
    second.leave()

    assert still_running
    assert not first.root.exists()
    assert ThrowawayCluster.join(first.root) is None


def test_sweep__after_its_users_were_killed__removes_server_and_directory() -> None:
    code = (
        "import os, signal\n"
        "from kernel.postgres.throwaway import ThrowawayCluster\n"
        "print(ThrowawayCluster.create().root, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    root = Path(died.stdout.strip())
    left = ThrowawayCluster(root).cluster.status()
    assert died.returncode == -signal.SIGKILL
    assert left.running

    os.utime(root / "users", (0, 0))
    sweep()

    assert not root.exists()
    assert not Postmaster(left.pid, left.data).alive()


def test_sweep__beside_a_cluster_in_use__leaves_it_alone() -> None:
    used = ThrowawayCluster.create()
    os.utime(used.root / "users", (0, 0))

    sweep()

    assert used.cluster.status().running
    used.leave()
