"""Can every role reach the database, and is it the role that the code takes it for?"""

import psycopg
from django.conf import settings

from kernel.doctor.findings import Finding, failed, ok
from kernel.gate.wire import conninfo

NAME = "database"
PATIENCE_S = 3
_START = "Start it (`manage.py postgres start`), or correct DATABASE_URL."


def database() -> list[Finding]:
    """Connect as each configured role, on connections of its own."""
    faults = [fault for alias in settings.DATABASES if (fault := _fault(alias))]
    if faults:
        return [failed(NAME, fault, _START) for fault in faults]
    return [ok(NAME, f"answers to {len(settings.DATABASES)} roles")]


def _fault(alias: str) -> str:
    expected = settings.DATABASES[alias]["USER"]
    try:
        with psycopg.connect(
            conninfo(alias), connect_timeout=PATIENCE_S, autocommit=True
        ) as connection:
            row = connection.execute("SELECT current_user").fetchone()
    except psycopg.Error as error:
        return f"{alias}: {str(error).strip().splitlines()[0]}"
    actual = row[0] if row else ""
    return "" if actual == expected else f"{alias}: connects as {actual}, not as {expected}"
