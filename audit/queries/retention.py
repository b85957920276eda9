"""How long entries are kept, what is held, and what has been pruned."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from audit.models import PLATFORM_TENANT
from kernel import db, ports

EVERY_TENANT: Final = "*"
"""The rule for tenants without one of their own and without one of their plan."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Days for which entries are kept; None for ever. `source` says which rule that is."""

    days: int | None
    source: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """What the newest announcement of a log says."""

    log_id: UUID
    upto: int
    ranges: tuple[tuple[int, int], ...]
    statement: str
    event_id: UUID


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as it is stored: of a tenant, of a plan, of all tenants (``*``)."""

    tenant_id: UUID
    plan: str
    days: int | None


class Rules:
    """All rules at once, to find those of many tenants."""

    def __init__(self, stored: Iterable[StoredRule]) -> None:
        self._by_key = {(one.tenant_id, one.plan): one.days for one in stored}

    def of(self, tenant_id: UUID, plan: str | None) -> Rule:
        """Return the tenant's rule: its own, else its plan's, else everybody's, else for ever."""
        own = (tenant_id, "")
        if own in self._by_key:
            return Rule(self._by_key[own], "tenant")
        if tenant_id != PLATFORM_TENANT:
            for name, source in ((plan, "plan"), (EVERY_TENANT, "default")):
                if name and (PLATFORM_TENANT, name) in self._by_key:
                    return Rule(self._by_key[PLATFORM_TENANT, name], source)
        return Rule(None, "none")


def rules(tenant_id: UUID) -> list[StoredRule]:
    """Return a tenant's own rule; of the instance's tenant its own and those of plans."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id, plan, days FROM audit_retention WHERE tenant_id = %s ORDER BY plan",
            [tenant_id],
        )
        return [StoredRule(*row) for row in cursor.fetchall()]


def rules_of(tenant_ids: list[UUID]) -> dict[UUID, Rule]:
    """Return the rules of tenants, their plans looked up in one query. Runs as staff."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id, plan, days FROM audit_retention WHERE tenant_id = ANY (%s)",
            [[PLATFORM_TENANT, *tenant_ids]],
        )
        found = Rules(StoredRule(*row) for row in cursor.fetchall())
    plans = ports.plans().keys_of([one for one in tenant_ids if one != PLATFORM_TENANT])
    return {one: found.of(one, plans.get(one)) for one in tenant_ids}


def held_wholly(tenant_ids: list[UUID]) -> frozenset[UUID]:
    """Return the tenants under a hold of everything."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT tenant_id FROM audit_hold "
            "WHERE released_at IS NULL AND filter = '{}' AND tenant_id = ANY (%s)",
            [tenant_ids],
        )
        return frozenset(row[0] for row in cursor.fetchall())


def standing(tenant_id: UUID) -> tuple[Rule, bool]:
    """Return a tenant's rule, and whether any hold keeps entries beyond it. Runs as staff."""
    with db.cursor() as cursor:
        cursor.execute(_STANDING, [[PLATFORM_TENANT, tenant_id], tenant_id])
        stored, held = cursor.fetchone()
    found = Rules(StoredRule(UUID(one[0]), one[1], one[2]) for one in stored or ())
    return found.of(tenant_id, ports.plans().key_of(tenant_id)), held


def pruned(tenant_id: UUID) -> list[Pruned]:
    """Return the newest announcements of a tenant's logs."""
    with db.cursor() as cursor:
        cursor.execute(_PRUNED + " WHERE tenant_id = %s", [tenant_id])
        return [_pruned(row) for row in cursor.fetchall()]


def pruned_of(log_id: UUID) -> Pruned | None:
    """Return the newest announcement of a log; None where nothing has been pruned."""
    with db.cursor() as cursor:
        cursor.execute(_PRUNED + " WHERE log_id = %s", [log_id])
        row = cursor.fetchone()
    return _pruned(row) if row else None


def may_lack(log_id: UUID, places: range) -> bool:
    """Tell whether all of the places that have no bytes are announced as pruned."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT bool_and(l.leaf_index <@ p.ranges) FROM audit_leaf l "
            "LEFT JOIN audit_pruned p ON p.log_id = l.log_id "
            "LEFT JOIN audit_event e ON e.id = l.event_id AND e.recorded_at = l.recorded_at "
            "WHERE l.log_id = %s AND l.leaf_index >= %s AND l.leaf_index < %s AND e.id IS NULL",
            [log_id, places.start, places.stop],
        )
        return bool(cursor.fetchone()[0])


_STANDING: Final = """
SELECT (SELECT json_agg(json_build_array(tenant_id, plan, days)) FROM audit_retention
        WHERE tenant_id = ANY (%s)),
       EXISTS (SELECT 1 FROM audit_hold WHERE tenant_id = %s AND released_at IS NULL)
"""
_PRUNED: Final = "SELECT log_id, upto, ranges, statement, event_id FROM audit_pruned"


def _pruned(row: tuple[object, ...]) -> Pruned:
    log_id, upto, ranges, statement, event_id = row
    pairs = tuple((one.lower, one.upper) for one in ranges)  # type: ignore[attr-defined]  # a Multirange
    return Pruned(log_id, upto, pairs, statement, event_id)  # type: ignore[arg-type]  # as selected
