"""Whether the files of the archive still hold what was written to them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from billing.usage.models import OPERATOR
from kernel import db

_FILES: Final = "SELECT file, events, sha256 FROM billing_usage_archive ORDER BY month, id"

_ARCHIVED: Final = """
SELECT billing_usage_too_late(array_agg(tenant_id), array_agg(bucket)) <> '{}' FROM (
  SELECT tenant_id, min(bucket) AS bucket FROM billing_usage_rollup WHERE meter_id = %s
  GROUP BY tenant_id, billing_usage_month(bucket)
) AS months
"""

_WITHIN: Final = """
SELECT array_agg(month), billing_usage_too_late(array_agg(tenant_id), array_agg(month))
FROM unnest($2::uuid[]) AS asked (tenant_id), LATERAL (
  SELECT CASE WHEN min(bucket) IS NOT NULL THEN GREATEST($3::timestamptz, min(bucket)) END AS low
  FROM billing_usage_rollup AS rollup
  WHERE rollup.meter_id = $1::uuid AND rollup.tenant_id = asked.tenant_id
) AS kept, LATERAL generate_series(
  date_trunc('month', low, 'UTC'), coalesce($4::timestamptz, now()) - interval '1 microsecond',
  interval '1 month', 'UTC'
) AS month
"""


def is_archived(meter_id: UUID) -> bool:
    """Tell whether events that the meter counted have left the ledger."""
    with db.cursor() as cursor:
        cursor.execute(_ARCHIVED, [meter_id])
        return bool(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Checked:
    """A file of the archive; ``fault`` is empty where it is sound."""

    file: str
    events: int
    fault: str = ""


def check(directory: Path, digest: Callable[[Path], str]) -> Iterator[Checked]:
    """Digest every recorded file below ``directory``. Runs across tenants (alias staff)."""
    with db.cursor() as cursor:
        cursor.execute(_FILES)
        recorded = cursor.fetchall()
    for file, events, wanted in recorded:
        yield Checked(file, events, _fault(directory / file, wanted, digest))


def _fault(path: Path, wanted: str, digest: Callable[[Path], str]) -> str:
    try:
        return "" if digest(path) == wanted else "its checksum is another"
    except OSError as error:
        return str(error.strerror)


def newest_archived(
    meter_id: UUID, tenants: Sequence[UUID], start: datetime | None, end: datetime | None
) -> date | None:
    """Find the newest month within [start, end) whose events some of the tenants have no more.

    Before the meter's first roll-up there was nothing to lose.
    """
    asked = [*tenants] or [OPERATOR]
    (months, places), *_ = db.rows(_WITHIN, (meter_id, asked, start, end))
    closed = [months[place - 1] for place in places or ()]
    return max(closed).date() if closed else None
