"""The doctor finds what is broken and says so with its exit status."""

import io
import json

import pytest
from django.core.management import call_command

from kernel import db, doctor
from kernel.doctor import Verdict, examine


def verdicts():
    return {finding.check: finding.verdict for finding in examine()}


def run(*arguments):
    out = io.StringIO()
    call_command("doctor", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def heartbeat(database):
    def beat(alive=True, age_s=0):
        with db.use_alias("staff"), db.cursor() as cursor:
            cursor.execute("DELETE FROM kernel_heartbeat")
            cursor.execute(
                "INSERT INTO kernel_heartbeat"
                " VALUES ('outbox', 'test', %s, 0, now() - make_interval(secs => %s))",
                [alive, age_s],
            )

    yield beat
    with db.use_alias("staff"), db.cursor() as cursor:
        cursor.execute("DELETE FROM kernel_heartbeat")


def test_doctor__healthy_deployment__all_but_warnings_and_status_0(heartbeat):
    heartbeat()
    found = verdicts()
    assert set(found) == {"keys", "disk", *doctor.CHECKS}
    assert Verdict.FAIL not in found.values()
    assert "fence" in run()


def test_doctor__json__is_machine_readable(heartbeat):
    heartbeat()
    findings = json.loads(run("--json"))
    assert {"check", "verdict", "detail"} == set(findings[0])


@pytest.mark.parametrize("facts", [{"alive": False}, {"age_s": 120}])
def test_worker__dead_or_silent__fails_with_status_1(heartbeat, facts):
    heartbeat(**facts)
    assert verdicts()["worker"] is Verdict.FAIL
    with pytest.raises(SystemExit) as left:
        run()
    assert left.value.code == 1


def test_fence__one_table_opened__fails_and_names_it(database):
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_membership NO FORCE ROW LEVEL SECURITY")
    try:
        [found] = [finding for finding in examine() if finding.check == "fence"]
    finally:
        with db.use_alias("owner"), db.cursor() as cursor:
            cursor.execute("ALTER TABLE accounts_membership FORCE ROW LEVEL SECURITY")
    assert found.verdict is Verdict.FAIL
    assert "accounts_membership" in found.detail


def test_keys__readable_by_others__fails(database, settings, tmp_path):
    settings.INNKEEPER_HOME = tmp_path
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "open").write_text("x")
    (tmp_path / "keys" / "open").chmod(0o644)
    assert verdicts()["keys"] is Verdict.FAIL
    (tmp_path / "keys" / "open").chmod(0o600)
    assert verdicts()["keys"] is Verdict.OK


def test_server__too_old__fails(database, monkeypatch):
    monkeypatch.setattr(doctor, "MIN_VERSION", 990_000)
    assert verdicts()["database"] is Verdict.FAIL


def test_clock__far_off__warns(database, monkeypatch):
    monkeypatch.setattr(doctor, "MAX_SKEW_S", -1.0)
    assert verdicts()["clock"] is Verdict.WARN
