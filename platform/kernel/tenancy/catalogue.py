"""What PostgreSQL's catalogue says about the fence: is every table of tenants really protected?

A table with a ``tenant_id`` must be under FORCE ROW LEVEL SECURITY with exactly the policies of
:mod:`kernel.tenancy.operations` and an index that begins with the tenant. Tables that the serving
roles cannot touch at all (schema ``gate``, partitions reached through their parent) need none.
"""

from dataclasses import dataclass

from django.db.backends.utils import CursorWrapper

from kernel.tenancy.operations import APP, POLICIES, STAFF

# Tables of tenants whose tenant stands in another column.
TENANT_COLUMNS = {"public.tenants_tenant": "id"}
# Tables that are never read by tenant alone: by their log (which is one tenant's), by their entry,
# or through words that carry the tenant as a lexeme.
LED_OTHERWISE = frozenset(
    f"public.audit_{name}"
    for name in ("anchor", "blob", "checkpoint", "heads_entry", "leaf", "node", "search")
)
_TABLES = """
SELECT n.nspname || '.' || c.relname, a.attname, c.relrowsecurity, c.relforcerowsecurity,
       has_table_privilege(%(app)s, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES')
         OR has_any_column_privilege(%(app)s, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'),
       has_table_privilege(%(app)s, c.oid, 'TRUNCATE'),
       coalesce((SELECT array_agg(p.polname::text ORDER BY p.polname) FROM pg_policy p
                  WHERE p.polrelid = c.oid), '{}'),
       EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant'
                  AND NOT p.polpermissive
                  AND p.polroles = ARRAY[(SELECT oid FROM pg_roles WHERE rolname = %(app)s)]),
       EXISTS (SELECT FROM pg_index i
                WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND (a.attname = 'tenant_id'
        OR n.nspname || '.' || c.relname || '.' || a.attname = ANY (%(own)s))
 ORDER BY 1
"""
_ROLES = """
SELECT rolname, rolsuper, rolbypassrls,
       EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid)
  FROM pg_roles r WHERE rolname IN (%s, %s)
"""


@dataclass(frozen=True, slots=True)
class Protection:
    """How one table of tenants is protected."""

    table: str
    column: str
    enabled: bool
    forced: bool
    reachable: bool
    truncatable: bool
    policies: tuple[str, ...]
    restrictive: bool
    indexed: bool

    def faults(self) -> list[str]:
        """Say what is wrong; empty where the table is safe."""
        if not self.reachable:
            return []
        found = []
        if not (self.enabled and self.forced):
            found.append("row-level security is not enabled and forced")
        if set(self.policies) != set(POLICIES):
            found.append(f"policies are {', '.join(self.policies) or 'none'}")
        if not self.restrictive:
            found.append(f"the policy tenant is not restrictive to {APP} alone")
        if not self.indexed and self.table not in LED_OTHERWISE:
            found.append(f"no index begins with {self.column}")
        if self.truncatable:
            found.append(f"{APP} may TRUNCATE, which ignores row-level security")
        return found


def protections(cursor: CursorWrapper) -> list[Protection]:
    """Read the protection of every table that holds rows of tenants."""
    own = [f"{table}.{column}" for table, column in TENANT_COLUMNS.items()]
    cursor.execute(_TABLES, {"app": APP, "own": own})
    return [Protection(*row[:6], tuple(row[6]), *row[7:]) for row in cursor.fetchall()]


def table_faults(cursor: CursorWrapper) -> list[str]:
    """List every fault of every table, as sentences."""
    return [
        f"{protection.table}: {fault}"
        for protection in protections(cursor)
        for fault in protection.faults()
    ]


def role_faults(cursor: CursorWrapper) -> list[str]:
    """Find serving roles for which row-level security would mean nothing."""
    cursor.execute(_ROLES, [APP, STAFF])
    rows = cursor.fetchall()
    found = [f"role {name} is missing" for name in {APP, STAFF} - {row[0] for row in rows}]
    for name, superuser, bypass, owns in rows:
        if superuser:
            found.append(f"role {name} is a superuser")
        if bypass:
            found.append(f"role {name} bypasses row-level security")
        if owns:
            found.append(f"role {name} owns tables")
    return found
