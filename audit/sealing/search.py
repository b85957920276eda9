"""Fills the full-text index, away from the writing transaction.

Words come from the projected columns, the strings of the changes and the openings of personal
values (erasure removes the row). The tenant is a word of its own: one index condition finds one
tenant's entries.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from kernel import db

_FILL: Final = """
INSERT INTO audit_search (event_id, tenant_id, words)
SELECT e.id, e.tenant_id,
       array_to_tsvector(ARRAY['tenant:' || e.tenant_id])
    || to_tsvector('simple', concat_ws(' ',
         e.action, replace(e.action, '.', ' '), e.actor_type, e.actor_id,
         e.on_behalf_of, e.target_type, e.target_id, e.outcome, e.request_id,
         (SELECT string_agg(opening.value ->> 1, ' ')
          FROM audit_pii p, jsonb_each(p.doc) opening WHERE p.event_id = e.id)))
    || jsonb_to_tsvector('simple', convert_from(e.leaf, 'UTF8')::jsonb -> 'changes',
                         '["string", "numeric"]')
FROM audit_event e
WHERE e.id = ANY (%s::uuid[]) AND e.recorded_at BETWEEN %s AND %s
ON CONFLICT DO NOTHING
"""


def fill(events: Sequence[tuple[UUID, datetime]]) -> None:
    """Index entries, given as (id, recorded_at): the times prune partitions."""
    moments = [moment for _, moment in events]
    with db.cursor() as cursor:
        cursor.execute(
            _FILL,
            [[identifier for identifier, _ in events], min(moments), max(moments)],
        )
