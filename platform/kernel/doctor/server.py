"""The PostgreSQL server: new enough, on time, durable, with room for connections."""

from datetime import UTC, datetime
from typing import Any

from kernel import db
from kernel.doctor.findings import Finding, failed, ok, warning

OLDEST_MAJOR = 18
SKEW_S = 1.0
BUSY_SHARE = 0.8
LONG_TRANSACTION_S = 300
WRAPAROUND_AGE = 1_000_000_000
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_CONNECTIONS = """
SELECT count(*), current_setting('max_connections')::int
  FROM pg_stat_activity WHERE backend_type = 'client backend'
"""
# Of sessions that belong to other roles staff sees neither start nor state: those count as short.
_TRANSACTIONS = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8,
       (SELECT count(*) FROM pg_prepared_xacts),
       (SELECT max(age(datfrozenxid)) FROM pg_database WHERE datallowconn)
  FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def version() -> list[Finding]:
    """Look at the server's version."""
    [number] = _row("SELECT current_setting('server_version_num')::int")
    major, minor = divmod(number, 10_000)
    if major < OLDEST_MAJOR:
        remedy = f"Move the data to PostgreSQL {OLDEST_MAJOR} (docs/operations.md, upgrading)."
        return [failed("version", f"PostgreSQL {major}.{minor}", remedy)]
    return [ok("version", f"PostgreSQL {major}.{minor}")]


def clock() -> list[Finding]:
    """Compare this machine's clock with the database's, halfway through the round trip."""
    before = datetime.now(UTC)
    [there] = _row("SELECT clock_timestamp()")
    after = datetime.now(UTC)
    skew = (there - (before + (after - before) / 2)).total_seconds()
    slack = (after - before).total_seconds() / 2
    text = f"{skew * 1000:+.1f} ms against the database (±{slack * 1000:.1f} ms)"
    if abs(skew) - slack > SKEW_S:
        return [failed("clock", text, "Synchronise the clocks of both machines by NTP.")]
    return [ok("clock", text)]


def durability() -> list[Finding]:
    """Find settings under which an acknowledged commit may be lost."""
    values = {name: _row("SELECT current_setting(%s)", [name])[0] for name in _DURABLE}
    weak = [f"{name} = {value}" for name, value in values.items() if value in ("off", "local")]
    if weak:
        remedy = "Switch it on: what Innkeeper has acknowledged must survive a crash."
        return [failed("durability", ", ".join(weak), remedy)]
    return [ok("durability", "commits survive a crash")]


def connections() -> list[Finding]:
    """Compare the connections in use with the server's limit."""
    used, limit = _row(_CONNECTIONS)
    text = f"{used} of {limit} in use"
    if used > limit * BUSY_SHARE:
        remedy = "Lower INNKEEPER_POOL_SIZE, raise max_connections, or put PgBouncer in between."
        return [warning("connections", text, remedy)]
    return [ok("connections", text)]


def transactions() -> list[Finding]:
    """Find transactions that hold back vacuum and the audit sealer."""
    longest, prepared, age = _row(_TRANSACTIONS)
    found = []
    if longest > LONG_TRANSACTION_S:
        text = f"the longest one is open for {longest:.0f} s"
        found.append(warning("transactions", text, "Find it in pg_stat_activity and end it."))
    if prepared:
        text = f"{prepared} prepared by somebody and not finished"
        remedy = "COMMIT PREPARED or ROLLBACK PREPARED what pg_prepared_xacts lists."
        found.append(warning("transactions", text, remedy))
    if age > WRAPAROUND_AGE:
        text = f"the oldest unfrozen one is {age:,} transactions old"
        found.append(failed("transactions", text, "VACUUM FREEZE before the ids run out."))
    return found or [ok("transactions", f"none open for more than {LONG_TRANSACTION_S} s")]


def _row(sql: str, values: list[Any] | None = None) -> tuple[Any, ...]:
    with db.cursor() as cursor:
        cursor.execute(sql, values)
        row: tuple[Any, ...] = cursor.fetchone()
        return row
