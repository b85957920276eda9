"""Keeps the monthly partitions of the log ahead of the clock."""

from typing import Final

from kernel import db

AHEAD: Final = 3
"""Months for which partitions exist in advance."""
INTERVAL: Final = 3600.0
"""Seconds between two looks."""


def ensure() -> int:
    """Make the partitions of this month and the months ahead; return how many were new."""
    with db.use_alias("sealer"), db.cursor() as cursor:
        cursor.execute("SELECT audit_ensure_partitions(%s)", [AHEAD])
        return int(cursor.fetchone()[0])
