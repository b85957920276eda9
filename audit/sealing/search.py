"""Fills the full-text index, away from the writing transaction and from the sealing one.

Words come from the projected columns, the strings of the changes and of the metadata, and the
openings of personal values (erasure removes the row). The tenant is a word of its own: one index
condition finds one tenant's entries. Each head says up to which place its log is indexed, so a
crash between sealing and indexing loses no word.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from audit.models import HEADS_STREAM
from audit.sealing.window import PLAN
from kernel import db

BATCH: Final = 5_000
"""Entries of one log that are indexed at once."""

# jsonb refuses U+0000, which a tenant's application may send: it separates words here.
# `audit_words_of` holds openings against erasure until we commit, and gives null for those that
# are just being erased: their log is indexed up to there, and further once the erasure has ended.
_FILL: Final = r"""
WITH due AS MATERIALIZED (
  SELECT log_id, indexed AS first, least(size, indexed + %s) AS past FROM audit_head
  WHERE indexed < size AND stream <> %s AND (%s OR log_id = ANY (%s::uuid[])) FOR UPDATE
), found AS MATERIALIZED (
  SELECT due.log_id, due.past, l.leaf_index, l.event_id, l.recorded_at,
         p.event_id IS NOT NULL AS opens,
         CASE WHEN p.event_id IS NOT NULL THEN audit_words_of(p.event_id) END AS opened
  FROM due
  LEFT JOIN audit_leaf l ON l.log_id = due.log_id AND l.leaf_index >= due.first
                        AND l.leaf_index < due.past
  LEFT JOIN audit_pii p ON p.event_id = l.event_id
), placed AS MATERIALIZED (
  SELECT *, coalesce(min(leaf_index) FILTER (WHERE opens AND opened IS NULL)
                     OVER (PARTITION BY log_id), past) AS stop
  FROM found
), words AS (
  INSERT INTO audit_search (event_id, tenant_id, words)
  SELECT e.id, e.tenant_id,
         array_to_tsvector(ARRAY['tenant:' || e.tenant_id])
      || to_tsvector('simple', concat_ws(' ',
           e.action, replace(e.action, '.', ' '), e.actor_type, e.actor_id,
           e.on_behalf_of, e.target_type, e.target_id, e.outcome, e.request_id, placed.opened))
      || jsonb_to_tsvector('simple',
           jsonb_build_array(said.leaf -> 'changes', said.leaf -> 'context' -> 'metadata'),
           '["string", "numeric"]')
  FROM placed
  JOIN audit_event e ON e.id = placed.event_id AND e.recorded_at = placed.recorded_at
  CROSS JOIN LATERAL (SELECT CASE
    WHEN strpos(convert_from(e.leaf, 'UTF8'), '\u0000') = 0 THEN convert_from(e.leaf, 'UTF8')
    ELSE regexp_replace(convert_from(e.leaf, 'UTF8'), '(?<!\\)((\\\\)*)\\u0000', '\1 ', 'g')
    END::jsonb) AS said (leaf)
  WHERE placed.leaf_index < placed.stop
  ON CONFLICT DO NOTHING
)
UPDATE audit_head h SET indexed = reach.stop
FROM (SELECT DISTINCT log_id, stop, past FROM placed) reach WHERE h.log_id = reach.log_id
RETURNING h.log_id, h.indexed < h.size, reach.stop < reach.past
"""


@dataclass(frozen=True, slots=True)
class Filled:
    """The logs that have more to index: at once, or only when an erasure has ended."""

    behind: frozenset[UUID] = frozenset()
    waiting: frozenset[UUID] = frozenset()


def fill(logs: Iterable[UUID] | None) -> Filled:
    """Index what was sealed of these logs (None: of all); return those that are not done yet."""
    wanted = None if logs is None else list(logs)
    if wanted == []:
        return Filled()
    with db.atomic(), db.cursor() as cursor:
        cursor.execute(PLAN)
        cursor.execute(_FILL, [BATCH, HEADS_STREAM, wanted is None, wanted or []])
        found = cursor.fetchall()
    return Filled(
        frozenset(log_id for log_id, is_behind, waits in found if is_behind and not waits),
        frozenset(log_id for log_id, _, waits in found if waits),
    )
