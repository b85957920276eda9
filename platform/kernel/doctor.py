"""What ``manage.py doctor`` looks at: each check says ok, a warning, or what is wrong."""

import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.migrations.loader import MigrationLoader

from kernel import db
from kernel.health import MIN_FREE_BYTES
from kernel.tenancy import catalogue

MIN_VERSION = 180_000
MAX_SKEW_S = 1.0
BEAT_STALE_S = 30
LAG_WARN_S = 60.0
_WIDEST = 0o077


class Verdict(StrEnum):
    """How a check went. Only FAIL makes the command fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer."""

    check: str
    verdict: Verdict
    detail: str


def examine() -> list[Finding]:
    """Run every check. Without a database the checks that need it fail and the others still run."""
    findings = [_keys(), _disk()]
    for name, check in CHECKS.items():
        try:
            with db.use_alias("staff"):
                findings.append(check(name))
        except (DatabaseError, InterfaceError) as error:
            findings.append(Finding(name, Verdict.FAIL, str(error).strip().splitlines()[0]))
            db.connection().close()
    return findings


def _one(sql: str) -> tuple[object, ...]:
    with db.cursor() as cursor:
        cursor.execute(sql)
        row: tuple[object, ...] = cursor.fetchone() or ()
        return row


def _server(name: str) -> Finding:
    with db.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        number = int(cursor.fetchone()[0])
    verdict = Verdict.OK if number >= MIN_VERSION else Verdict.FAIL
    return Finding(name, verdict, f"PostgreSQL {number // 10_000}.{number % 10_000}, 18 is needed")


def _roles(name: str) -> Finding:
    with db.cursor() as cursor:
        return _faults(name, catalogue.role_faults(cursor), "app and staff have no special power")


def _fence(name: str) -> Finding:
    with db.cursor() as cursor:
        faults = catalogue.table_faults(cursor)
        count = len(catalogue.protections(cursor))
    return _faults(name, faults, f"{count} tables of tenants are protected")


def _faults(name: str, faults: list[str], fine: str) -> Finding:
    return Finding(name, Verdict.FAIL if faults else Verdict.OK, "; ".join(faults) or fine)


def _migrations(name: str) -> Finding:
    with db.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        applied = set(cursor.fetchall())
    missing = sorted(set(MigrationLoader(None).disk_migrations) - applied)
    if missing:
        named = ", ".join(".".join(pair) for pair in missing)
        return Finding(name, Verdict.FAIL, f"not applied: {named}; run manage.py migrate")
    return Finding(name, Verdict.OK, f"{len(applied)} applied")


def _clock(name: str) -> Finding:
    before = time.time()
    [there] = _one("SELECT extract(epoch FROM clock_timestamp())::float8")
    after = time.time()
    skew = float(str(there)) - (before + after) / 2
    verdict = Verdict.OK if abs(skew) <= MAX_SKEW_S else Verdict.WARN
    return Finding(name, verdict, f"{skew * 1000:+.0f} ms against the database")


def _connections(name: str) -> Finding:
    [used, most] = _one(
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
        " current_setting('max_connections')::int"
    )
    verdict = Verdict.OK if int(str(used)) < int(str(most)) * 0.8 else Verdict.WARN
    return Finding(name, verdict, f"{used} of {most} in use")


def _worker(name: str) -> Finding:
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT service, bool_or(alive AND at > now() - make_interval(secs => %s)),"
            " sum(restarts) FROM kernel_heartbeat GROUP BY service ORDER BY service",
            [BEAT_STALE_S],
        )
        rows = cursor.fetchall()
    if not rows:
        return Finding(name, Verdict.WARN, "no worker has reported; start manage.py worker")
    dead = [service for service, alive, _ in rows if not alive]
    restarts = sum(int(count) for _, _, count in rows)
    if dead:
        return Finding(name, Verdict.FAIL, f"not alive: {', '.join(dead)}")
    return Finding(name, Verdict.OK, f"{len(rows)} services alive, {restarts} restarts")


def _outbox(name: str) -> Finding:
    [waiting, oldest, dead] = _one(
        "SELECT count(*) FILTER (WHERE dead_at IS NULL),"
        " coalesce(extract(epoch FROM now() - min(available_at)"
        " FILTER (WHERE dead_at IS NULL)), 0)::float8,"
        " count(*) FILTER (WHERE dead_at IS NOT NULL)"
        " FROM kernel_outbox WHERE delivered_at IS NULL"
    )
    age = float(str(oldest))
    verdict = Verdict.WARN if age > LAG_WARN_S or int(str(dead)) else Verdict.OK
    return Finding(name, verdict, f"{waiting} waiting, oldest {max(age, 0):.0f} s, {dead} dead")


def _keys() -> Finding:
    folder = Path(settings.INNKEEPER_HOME) / "keys"
    loose = [
        path.name
        for path in sorted(folder.glob("*"))
        if stat.S_IMODE(path.stat().st_mode) & _WIDEST
    ]
    if loose:
        return Finding("keys", Verdict.FAIL, f"readable by others: {', '.join(loose)}")
    if not folder.exists():
        return Finding("keys", Verdict.WARN, f"none yet in {folder}: made at the first start")
    return Finding("keys", Verdict.OK, f"{len(list(folder.iterdir()))} private files in {folder}")


def _disk() -> Finding:
    home = Path(settings.INNKEEPER_HOME)
    free = shutil.disk_usage(home if home.exists() else home.anchor).free
    verdict = Verdict.OK if free >= MIN_FREE_BYTES else Verdict.FAIL
    return Finding("disk", verdict, f"{free / 2**30:.1f} GiB free")


CHECKS: dict[str, Callable[[str], Finding]] = {
    "database": _server,
    "roles": _roles,
    "fence": _fence,
    "migrations": _migrations,
    "clock": _clock,
    "connections": _connections,
    "worker": _worker,
    "outbox": _outbox,
}
