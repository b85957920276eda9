"""Let each head say up to which place its log is indexed for search."""

from django.db import migrations

_FORWARD = """
ALTER TABLE audit_head ADD COLUMN indexed bigint NOT NULL DEFAULT 0;
UPDATE audit_head SET indexed = size;
-- A search reads the pending list from end to end, and who fills it up empties it: keep it short.
ALTER INDEX audit_search_words SET (gin_pending_list_limit = 256);
"""
_BACK = """
ALTER INDEX audit_search_words RESET (gin_pending_list_limit);
ALTER TABLE audit_head DROP COLUMN indexed;
"""


class Migration(migrations.Migration):
    """The index is filled after the sealing transaction; see docs/adr/0116."""

    dependencies = [("audit", "0002_retention")]
    operations = [migrations.RunSQL(_FORWARD, _BACK)]
