"""Fills the full-text index, away from the writing transaction and from the sealing one.

Words come from the projected columns, the strings of the changes and of the metadata, and the
openings of personal values (erasure removes the row). The tenant is a word of its own: one index
condition finds one tenant's entries. Each head says up to which place its log is indexed, so a
crash between sealing and indexing loses no word.
"""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from audit.models import HEADS_STREAM
from audit.sealing.window import PLAN
from kernel import db

BATCH: Final = 5_000
"""Entries of one log that are indexed at once."""

# jsonb refuses U+0000, which a tenant's application may send: it separates words here.
_FILL: Final = r"""
WITH due AS MATERIALIZED (
  SELECT log_id, indexed AS first, least(size, indexed + %s) AS past FROM audit_head
  WHERE indexed < size AND stream <> %s AND (%s OR log_id = ANY (%s::uuid[])) FOR UPDATE
), words AS (
  INSERT INTO audit_search (event_id, tenant_id, words)
  SELECT e.id, e.tenant_id,
         array_to_tsvector(ARRAY['tenant:' || e.tenant_id])
      || to_tsvector('simple', concat_ws(' ',
           e.action, replace(e.action, '.', ' '), e.actor_type, e.actor_id,
           e.on_behalf_of, e.target_type, e.target_id, e.outcome, e.request_id,
           (SELECT string_agg(opening.value ->> 1, ' ')
            FROM audit_pii p, jsonb_each(p.doc) opening WHERE p.event_id = e.id)))
      || jsonb_to_tsvector('simple',
           jsonb_build_array(said.leaf -> 'changes', said.leaf -> 'context' -> 'metadata'),
           '["string", "numeric"]')
  FROM due
  JOIN audit_leaf l ON l.log_id = due.log_id AND l.leaf_index >= due.first
                   AND l.leaf_index < due.past
  JOIN audit_event e ON e.id = l.event_id AND e.recorded_at = l.recorded_at
  CROSS JOIN LATERAL (SELECT CASE
    WHEN strpos(convert_from(e.leaf, 'UTF8'), '\u0000') = 0 THEN convert_from(e.leaf, 'UTF8')
    ELSE regexp_replace(convert_from(e.leaf, 'UTF8'), '(?<!\\)((\\\\)*)\\u0000', '\1 ', 'g')
    END::jsonb) AS said (leaf)
  ON CONFLICT DO NOTHING
)
UPDATE audit_head h SET indexed = due.past FROM due WHERE h.log_id = due.log_id
RETURNING h.log_id, h.indexed < h.size
"""


def fill(logs: Iterable[UUID] | None) -> set[UUID]:
    """Index what was sealed of these logs (None: of all); return those that are not done yet."""
    wanted = None if logs is None else list(logs)
    if wanted == []:
        return set()
    with db.atomic(), db.cursor() as cursor:
        cursor.execute(PLAN)
        cursor.execute(_FILL, [BATCH, HEADS_STREAM, wanted is None, wanted or []])
        return {log_id for log_id, is_behind in cursor.fetchall() if is_behind}
