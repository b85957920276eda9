"""Allow percentiles, medians and levels; recount only the series that an amendment touches."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent.parent / "usage" / "sql"
# 0001 takes the list from the code: a new database has it already, an older one has not.
_AGGREGATIONS = """
SET LOCAL lock_timeout = '5s';
ALTER TABLE billing_meter DROP CONSTRAINT billing_meter_aggregation;
ALTER TABLE billing_meter ADD CONSTRAINT billing_meter_aggregation CHECK (aggregation IN (
  'SUM', 'COUNT', 'UNIQUE_COUNT', 'AVG', 'MIN', 'MAX', 'LATEST',
  'MEDIAN', 'P50', 'P90', 'P95', 'P99', 'WEIGHTED_SUM'));
"""
_SERIES = (_SQL / "series.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    """The aggregations of single events; series of amendments."""

    dependencies = [("billing", "0007_grants")]
    operations = [
        migrations.RunSQL(_AGGREGATIONS, migrations.RunSQL.noop),
        migrations.RunSQL(_SERIES, migrations.RunSQL.noop),
    ]
