"""Each check finds what is broken and is content with what is not."""

import os
from types import SimpleNamespace

import pytest

from kernel import db, doctor
from kernel.doctor import Check, Verdict, installation, reach, rounds, schema, server, worker
from kernel.jobs.services import BUILT_IN, services

EXPECTED = [*BUILT_IN, *(service.name for service in services.all())]


def verdicts(findings):
    return [finding.verdict for finding in findings]


def details(findings):
    return "\n".join(finding.detail for finding in findings)


@pytest.fixture
def staff(database):
    with db.use_alias("staff"):
        yield


@pytest.fixture
def beat(staff):
    """Give a function that makes a process of our own the only one that lives."""

    def execute(sql, *values):
        with db.cursor() as cursor:
            cursor.execute(sql, values)

    def beat(names=EXPECTED, *, alive=True, age_s=0, restarts=0):
        execute("DELETE FROM kernel_heartbeat")
        for name in names:
            execute(
                "INSERT INTO kernel_heartbeat VALUES (%s, 'test', %s, %s,"
                " now() - make_interval(secs => %s))",
                name, alive, restarts, age_s,
            )  # fmt: skip

    yield beat
    execute("DELETE FROM kernel_heartbeat")


@pytest.fixture
def home(settings, tmp_path, monkeypatch):
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.delenv("INNKEEPER_PEPPERS", raising=False)
    settings.INNKEEPER_HOME = tmp_path
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    for name in ("django", "peppers.json"):
        (folder / name).write_text("x")
        (folder / name).chmod(0o600)
    return tmp_path


def test_examine__as_tested__covers_every_check_and_fails_only_what_a_test_server_lacks(beat, home):
    beat()
    findings = doctor.examine()
    assert {finding.check for finding in findings} == {
        "database", "keys", "disk", "version", "clock", "durability", "connections",
        "transactions", "roles", "migrations", "fence", "heartbeats", "outbox", "jobs",
        "audit-streams", "audit-anchors",
    }  # fmt: skip
    failures = {f.check for f in findings if f.verdict is Verdict.FAILED}
    # The throw-away cluster runs without fsync, and other tests may leave events that wait.
    assert failures - {"outbox"} == {"durability"}


def test_examine__database_gone__skips_what_needs_it_and_looks_at_the_rest(monkeypatch, home):
    gone = [doctor.Finding("database", Verdict.FAILED, "no answer", "Start it.")]
    monkeypatch.setattr(reach, "database", gone.copy)
    found = {finding.check: finding.verdict for finding in doctor.examine()}
    assert found["fence"] is Verdict.SKIPPED
    assert found["keys"] is Verdict.OK


def test_database__wrong_port__names_the_alias(database, monkeypatch):
    bad = reach.conninfo("sealer").replace("port=5432", "port=1")
    real = reach.conninfo
    monkeypatch.setattr(reach, "conninfo", lambda name: bad if name == "sealer" else real(name))
    [finding] = reach.database()
    assert finding.verdict is Verdict.FAILED
    assert finding.detail.startswith("sealer: ")


def test_database__another_role_answers__fails(database, monkeypatch):
    real = reach.conninfo
    monkeypatch.setattr(reach, "conninfo", lambda name: real("owner"))
    assert "default: connects as innkeeper_owner, not as innkeeper_app" in details(reach.database())


def test_register__name_is_taken__refused():
    with pytest.raises(ValueError, match="twice"):
        rounds.register(Check("fence", list))


def test_version__too_old__fails(staff, monkeypatch):
    assert verdicts(server.version()) == [Verdict.OK]
    monkeypatch.setattr(server, "OLDEST_MAJOR", 99)
    assert verdicts(server.version()) == [Verdict.FAILED]


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock__an_hour_off__fails(staff, monkeypatch, hours):
    assert verdicts(server.clock()) == [Verdict.OK]
    real = server._row
    monkeypatch.setattr(server, "_row", lambda sql: real(f"{sql} + interval '{hours} hour'"))
    [finding] = server.clock()
    assert finding.verdict is Verdict.FAILED
    skew_ms = float(finding.detail.split()[0])
    assert abs(skew_ms - hours * 3_600_000) < 60_000


def test_durability__server_without_fsync__fails(staff):
    [finding] = server.durability()
    assert finding.verdict is Verdict.FAILED
    assert "fsync = off" in finding.detail


def test_connections__nearly_all_taken__warns(staff, monkeypatch):
    assert verdicts(server.connections()) == [Verdict.OK]
    monkeypatch.setattr(server, "BUSY_SHARE", 0.0)
    assert verdicts(server.connections()) == [Verdict.WARNING]


def test_transactions__one_stays_open__warns(staff, monkeypatch):
    monkeypatch.setattr(server, "_row", lambda sql: (301.0, 0, 1000))
    assert details(server.transactions()) == "the longest one is open for 301 s"
    monkeypatch.setattr(server, "_row", lambda sql: (0.0, 1, 2_000_000_000))
    assert verdicts(server.transactions()) == [Verdict.WARNING, Verdict.FAILED]


def test_roles__as_provisioned__ok(staff):
    assert verdicts(schema.roles()) == [Verdict.OK]


def test_migrations__one_missing__fails_and_names_it(staff, monkeypatch):
    assert verdicts(schema.migrations()) == [Verdict.OK]
    real = schema.MigrationLoader
    disk = {**real(None).disk_migrations, ("kernel", "9999_next"): None}
    monkeypatch.setattr(
        schema, "MigrationLoader", lambda connection: SimpleNamespace(disk_migrations=disk)
    )
    [finding] = schema.migrations()
    assert finding.verdict is Verdict.FAILED
    assert "kernel.9999_next" in finding.detail


def test_migrations__database_is_newer__warns(staff, monkeypatch):
    real = schema.MigrationLoader
    disk = {k: v for k, v in real(None).disk_migrations.items() if k != ("kernel", "0001_gate")}
    monkeypatch.setattr(
        schema, "MigrationLoader", lambda connection: SimpleNamespace(disk_migrations=disk)
    )
    assert verdicts(schema.migrations()) == [Verdict.WARNING]


def test_fence__one_table_opened__fails_and_names_it(staff):
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_membership NO FORCE ROW LEVEL SECURITY")
    try:
        findings = schema.fence()
    finally:
        with db.use_alias("owner"), db.cursor() as cursor:
            cursor.execute("ALTER TABLE accounts_membership FORCE ROW LEVEL SECURITY")
    assert set(verdicts(findings)) == {Verdict.FAILED}
    assert {f.detail.partition(":")[0] for f in findings} == {"public.accounts_membership"}
    assert verdicts(schema.fence()) == [Verdict.OK]


def test_heartbeats__all_alive__ok(beat):
    beat()
    assert verdicts(worker.heartbeats()) == [Verdict.OK]


def test_heartbeats__no_worker_at_all__one_failure(beat):
    beat([])
    assert details(worker.heartbeats()) == "no worker runs"


def test_heartbeats__one_service_missing__is_named(beat):
    beat([name for name in EXPECTED if name != "outbox"])
    assert details(worker.heartbeats()) == "nobody runs outbox"


def test_heartbeats__silent_for_long__fails(beat):
    beat(age_s=60)
    assert details(worker.heartbeats()) == "no worker runs"


def test_heartbeats__one_dead__fails(beat):
    beat(alive=False)
    assert verdicts(worker.heartbeats()) == [Verdict.FAILED] * len(EXPECTED)


def test_heartbeats__keeps_dying__warns(beat):
    beat(restarts=9)
    assert set(verdicts(worker.heartbeats())) == {Verdict.WARNING}


@pytest.fixture
def event(staff):
    """Give a function that puts one event of a given age into the outbox; it goes afterwards."""
    made = []

    def put(age_s, *, dead):
        with db.cursor() as cursor:
            cursor.execute(
                "INSERT INTO kernel_outbox"
                " (id, name, payload, occurred_at, available_at, attempts, token, done, dead_at,"
                "  last_error)"
                " SELECT gen_random_uuid(), 'test.nobody', '{}', at, at, 0, 0, '[]',"
                " CASE WHEN %s THEN at END, ''"
                " FROM (SELECT now() - make_interval(secs => %s) AS at) t RETURNING id",
                [dead, age_s],
            )
            made.append(cursor.fetchone()[0])

    yield put
    with db.cursor() as cursor:
        cursor.execute("DELETE FROM kernel_outbox WHERE id = ANY (%s)", [made])


def test_outbox__oldest_waits_too_long__fails(event):
    event(10_000, dead=False)
    [finding] = [f for f in worker.outbox() if f.verdict is Verdict.FAILED]
    assert "the oldest for 1" in finding.detail


def test_outbox__one_given_up__warns(event):
    event(0, dead=True)
    assert Verdict.WARNING in verdicts(worker.outbox())


def test_jobs__one_buried__warns(staff):
    with db.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
        assert details(worker.jobs()) == "0 due, 0 running, 0 failed for good"
        cursor.execute(
            "INSERT INTO procrastinate_jobs (task_name, queue_name, args, status)"
            " VALUES ('t', 'default', '{}', 'failed')"
        )
        assert verdicts(worker.jobs()) == [Verdict.WARNING]
        cursor.execute("DELETE FROM procrastinate_jobs")


def test_keys__all_private__ok(home):
    assert verdicts(installation.keys()) == [Verdict.OK]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o700])
def test_keys__wider_than_0600__fails_and_names_file_and_mode(home, mode):
    path = home / "keys" / "peppers.json"
    path.chmod(mode)
    [finding] = installation.keys()
    assert finding.verdict is Verdict.FAILED
    assert f"{path} has mode {mode:04o}" in finding.detail


def test_keys__missing_and_no_setting_instead__fails(home, monkeypatch):
    (home / "keys" / "peppers.json").unlink()
    assert "INNKEEPER_PEPPERS is not set" in details(installation.keys())
    monkeypatch.setenv("INNKEEPER_PEPPERS", "1:x")
    assert verdicts(installation.keys()) == [Verdict.OK]


def test_keys__of_somebody_else__fails(home, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert set(verdicts(installation.keys())) == {Verdict.FAILED}


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(100 * 1024**2, Verdict.FAILED), (1024**3, Verdict.WARNING), (3 * 1024**3, Verdict.OK)],
)
def test_disk__by_free_space__judged(home, monkeypatch, free, verdict):
    monkeypatch.setattr(installation.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert verdicts(installation.disk()) == [verdict]
