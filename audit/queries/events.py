"""Entries to be shown: each with its place and what of it still opens, in one statement.

The statement is prepared (docs/adr/0131) where every value has the same best plan and few other
conditions could stand beside: what a caller may combine at will would fill the connection with
statements that are never run again.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.db.models.expressions import RawSQL

from audit.queries.filters import Condition, Filter
from kernel import db
from kernel.tenancy import current_tenant
from kernel.tenancy.context import AllTenants, scope

M = TypeVar("M", bound=Model)
_MOST_PREPARED: Final = 1

# The place is looked up for each row of the page, whatever the planner thinks of their number.
_ENTRIES: Final = """
SELECT e.id, e.tenant_id::text, e.stream,
       to_char(e.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
       e.action, e.actor_type, e.actor_id, e.target_type, e.target_id, e.outcome, e.leaf,
       encode(e.leaf_hash, 'base64'), replace(l.log_id::text, '-', ''), l.leaf_index,
       (SELECT '[' || string_agg(p.doc::text, ',') || ']' FROM audit_pii p
        WHERE p.event_id = e.id)
FROM (SELECT * FROM audit_event e WHERE {} ORDER BY {} LIMIT {{}}::int) e
LEFT JOIN LATERAL (
  SELECT log_id, leaf_index FROM audit_leaf WHERE event_id = e.id LIMIT 1
) l ON true
ORDER BY e.id DESC
"""
# Where the planner knows the value, it finds each plan that it makes for one cheaper than the plan
# for all, and goes on planning: 0.9 ms each time.
_HIDDEN: Final = "(SELECT {}::text)"
_MATCHING: Final = (
    "SELECT event_id FROM audit_search WHERE words @@ websearch_to_tsquery('simple', {})"
)
# The tenant is that of the connection: the function reads it as the policies do. An array is looked
# up in the list's own index, newest first, and no further than the page.
_FOUND: Final = "e.id = ANY (ARRAY(SELECT audit_find({}::text, {}::uuid, {}::uuid, {}::int)))"


class Listed(NamedTuple):
    """An entry, where it stands (None: not sealed) and its openings, a JSON list of documents."""

    id: UUID
    tenant_id: str
    stream: int
    recorded_at: str
    action: str
    actor_type: str
    actor_id: str
    target_type: str
    target_id: str
    outcome: str
    leaf: bytes
    leaf_hash: str
    log_id: str | None
    leaf_index: int | None
    openings: str | None


def newest(asked: Filter, limit: int) -> list[Listed]:
    """Give the newest entries that are asked for, of the tenant or, across tenants, of all.

    Raises:
        kernel.tenancy.TenantRequiredError: no tenant is set.
    """
    fence = _fence()
    led = next((one for one in asked.conditions if fence and one.leads), None)
    others = [one for one in asked.conditions if one is not led]
    if asked.words:
        others.append(_search(asked, limit, is_fenced=bool(fence)))
    conditions = [*fence, _range(asked, led), *others]
    few = len(asked.conditions) <= (_MOST_PREPARED if fence else 0)
    return _entries(
        conditions,
        limit,
        order=f"e.{led.leads} DESC, e.id DESC" if led else "e.id DESC",
        is_prepared=few and all(one.is_steady for one in conditions),
    )


def entry(event_id: UUID) -> Listed | None:
    """Give one entry of the tenant or, across tenants, of anybody; None: there is none.

    Raises:
        kernel.tenancy.TenantRequiredError: no tenant is set.
    """
    wanted = [*_fence(), Condition("e.id = {}::uuid", event_id)]
    found = _entries(wanted, 1, order="e.id", is_prepared=True)
    return found[0] if found else None


def matching(rows: QuerySet[M], words: str) -> QuerySet[M]:
    """Narrow entries of all tenants by a full-text search of what is sealed."""
    found = RawSQL(_MATCHING.format("%s"), [words])  # noqa: S611 - the words are bound
    return rows.filter(id__in=found)


def _fence() -> list[Condition]:
    if isinstance(scope(), AllTenants):
        return []
    return [Condition("e.tenant_id = {}::uuid", current_tenant())]


def _range(asked: Filter, led: Condition | None) -> Condition:
    """Bound the ids; with a column that an index leads with, as a range of that index.

    In the index's own order, of which one column is always the same: whatever the planner believes
    of the value, it takes the index that fits, and a list costs its page and nothing else.
    """
    if led is None:
        return Condition("e.id >= {}::uuid AND e.id < {}::uuid", (asked.since, asked.before))
    pair = f"(e.{led.leads}, e.id)"
    text = f"{pair} >= ({_HIDDEN}, {{}}::uuid) AND {pair} < ({_HIDDEN}, {{}}::uuid)"
    return Condition(text, (led.value, asked.since, led.value, asked.before))


def _search(asked: Filter, limit: int, *, is_fenced: bool) -> Condition:
    """Search; what other conditions may refuse again has to be found whole."""
    if not is_fenced:
        return Condition(f"e.id IN ({_MATCHING})", asked.words, is_steady=False)
    most = None if asked.conditions else limit
    return Condition(_FOUND, (asked.words, asked.since, asked.before, most))


def _entries(
    conditions: Sequence[Condition], limit: int, *, order: str, is_prepared: bool
) -> list[Listed]:
    text = _ENTRIES.format(" AND ".join(one.text for one in conditions), order)
    values: list[Any] = []
    for one in conditions:
        values += one.value if isinstance(one.value, tuple) else (one.value,)
    values.append(limit)
    if is_prepared:
        numbered = text.format(*(f"${number + 1}" for number in range(len(values))))
        return [Listed._make(row) for row in db.rows(numbered, values)]
    with db.cursor() as cursor:
        cursor.execute(text.format(*["%s"] * len(values)), values)
        return [Listed._make(row) for row in cursor.fetchall()]
