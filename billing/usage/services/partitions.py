"""The months of the ledger."""

from typing import Final

from kernel import db

AHEAD: Final = 3
"""How many months after the running one are kept ready."""
_MAKE: Final = """
SELECT billing_usage_make_month((date_trunc('month', now() AT TIME ZONE 'UTC')
                                 + make_interval(months => ahead))::date)
FROM generate_series(0, %s) AS ahead
"""


def make_months(ahead: int = AHEAD) -> list[str]:
    """Make the partitions of this month and the next ones; name those that were new.

    Runs as the owner. What waited in the default partition moves into its month.
    """
    with db.use_alias("owner"), db.atomic(), db.cursor() as cursor:
        cursor.execute(_MAKE, [ahead])
        return [row[0] for row in cursor.fetchall() if row[0] is not None]
