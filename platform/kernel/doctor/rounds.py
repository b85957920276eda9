"""The doctor's rounds: all checks in order; without a database those that need it are skipped."""

from django.db import DatabaseError, InterfaceError

from kernel import db
from kernel.doctor import installation, reach, schema, server, worker
from kernel.doctor.findings import Check, Finding, Verdict, failed

_checks = [
    Check("keys", installation.keys, needs_database=False),
    Check("disk", installation.disk, needs_database=False),
    Check("version", server.version),
    Check("clock", server.clock),
    Check("durability", server.durability),
    Check("connections", server.connections),
    Check("transactions", server.transactions),
    Check("roles", schema.roles),
    Check("migrations", schema.migrations),
    Check("fence", schema.fence),
    Check("heartbeats", worker.heartbeats),
    Check("outbox", worker.outbox),
    Check("jobs", worker.jobs),
]


def register(check: Check) -> None:
    """Add an app's check.

    Raises:
        ValueError: the name is taken.
    """
    if any(known.name == check.name for known in _checks):
        raise ValueError(f"check {check.name} is registered twice")
    _checks.append(check)


def examine() -> list[Finding]:
    """Run every check; give all findings in the order of the checks."""
    findings = reach.database()
    reachable = all(finding.verdict is not Verdict.FAILED for finding in findings)
    for check in _checks:
        findings += _look(check, reachable=reachable)
    return findings


def _look(check: Check, *, reachable: bool) -> list[Finding]:
    if not check.needs_database:
        return check.look()
    if not reachable:
        return [Finding(check.name, Verdict.SKIPPED, "the database does not answer")]
    try:
        with db.use_alias("staff"):
            return check.look()
    except (DatabaseError, InterfaceError) as error:
        return [failed(check.name, str(error).strip(), "See the database's log.")]
