"""The real thing: dump, lose what came after, restore into a cluster with other transaction ids."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.postgres.layout import PORT
from kernel.postgres.provider import Provider
from kernel.postgres.targets import Role
from kernel.postgres.throwaway import ThrowawayCluster

PREAMBLE = """
import json, django
django.setup()
from uuid import UUID
from django.core.management import call_command
from audit.jobs import SealerLoop
from audit.models import Head
from audit.sealing import checkpoints
from audit.services import audited, record
from audit.verification.run import verify
from kernel import db
from kernel.tenancy import tenant_context
TENANT = UUID(int=5)

def say(count):
    with tenant_context(TENANT):
        for number in range(count):
            with audited():
                record(action="data.read", target_id=str(number))

def seal():
    loop = SealerLoop()
    loop.step()
    loop.close()

def heads():
    with tenant_context(TENANT):
        return list(Head.objects.filter(stream=0).order_by("epoch"))
"""
WRITE = """
call_command("migrate", database="owner", verbosity=0)
say(300); seal(); say(5)
print(json.dumps(heads()[0].size))
"""
PUBLISH = """
say(50); seal()
published = int(checkpoints.issue(heads()[0].log_id).split()[1])
say(2)
print(json.dumps(published))
"""
GO_ON = """
seal(); say(3); seal()
with db.use_alias("sealer"), db.cursor() as cursor:
    query = "SELECT count(*), count(DISTINCT event_id) FROM audit_leaf WHERE tenant_id = %s"
    cursor.execute(query, [TENANT])
    places = cursor.fetchone()
print(json.dumps({
    "sizes": [head.size for head in heads()],
    "signed": checkpoints.issue(heads()[0].log_id).split()[1],
    "places": places,
    "valid": [report.valid for report in verify(TENANT).logs],
}))
"""
CONTINUE = """
refused = ""
try:
    checkpoints.issue(heads()[0].log_id)
except checkpoints.ForkRefusedError as error:
    refused = error.code
seal(); say(3); seal()
signed = checkpoints.issue(heads()[-1].log_id).split()[1]
with db.use_alias("sealer"), db.cursor() as cursor:
    query = "SELECT count(*), count(DISTINCT event_id) FROM audit_leaf WHERE tenant_id = %s"
    cursor.execute(query, [TENANT])
    places = cursor.fetchone()
    cursor.execute("SELECT count(*) FROM audit_event WHERE tenant_id = %s", [TENANT])
    entries = cursor.fetchone()[0]
print(json.dumps({
    "refused": refused,
    "sizes": [head.size for head in heads()],
    "signed": signed,
    "places": places,
    "entries": entries,
    "valid": [report.valid for report in verify(TENANT).logs],
}))
"""


class Site:
    """An installation: a cluster of its own, a home (keys, anchors) that outlives it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.cluster = ThrowawayCluster.create()
        self.cluster.provisioner().database("innkeeper")

    def run(self, script: str, database: str = "innkeeper") -> Any:
        """Run as a process of the installation; give what it printed last."""
        environ = {
            **os.environ,
            "INNKEEPER_HOME": str(self.home),
            "INNKEEPER_DB_SOCKET": str(self.cluster.socket),
            "INNKEEPER_DB_NAME": database,
        }
        done = subprocess.run(
            [sys.executable, "-c", PREAMBLE + script], env=environ, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def tool(self, name: str, *arguments: object) -> None:
        """Run one of PostgreSQL's own programs as the superuser."""
        command = [Provider.find().bin / name, "-h", self.cluster.socket, "-p", PORT]
        command += ["-U", Role.BOOTSTRAP, *arguments]
        subprocess.run(list(map(str, command)), check=True, capture_output=True)


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    first, second = Site(tmp_path / "home"), Site(tmp_path / "home")
    try:
        yield first, second
    finally:
        first.cluster.leave()
        second.cluster.leave()


def test_restore__into_a_new_cluster__goes_on_or_is_refused_where_published_entries_are_lost(
    sites: tuple[Site, Site], tmp_path: Path
) -> None:
    first, second = sites
    assert first.run(WRITE) == 300
    first.tool("pg_dump", "-Fc", "-f", tmp_path / "dump", "innkeeper")
    assert first.run(PUBLISH) == 355
    first.tool("pg_dump", "-Fc", "-f", tmp_path / "whole", "innkeeper")

    second.tool("pg_restore", "--clean", "--if-exists", "-d", "innkeeper", tmp_path / "dump")
    found = second.run(CONTINUE)

    assert found["refused"] == "audit_log_forked"
    # The old log ends where the dump was made; entry 0 of the new one tells of it, then come the
    # five entries that had no place yet and the three of today.
    assert found["sizes"] == [300, 1 + 5 + 3]
    assert found["signed"] == "9"
    assert found["places"] == [309, 309]
    assert found["entries"] == 309
    assert found["valid"] == [False, True]

    # Nothing published is lost here: the same log goes on, and the two entries that had no place
    # when the dump was made get one, though their transaction ids are of the other cluster.
    second.cluster.provisioner().database("whole")
    second.tool("pg_restore", "--clean", "--if-exists", "-d", "whole", tmp_path / "whole")
    assert second.run(GO_ON, "whole") == {
        "sizes": [355 + 2 + 3],
        "signed": "360",
        "places": [360, 360],
        "valid": [True],
    }
