"""What PostgreSQL's catalogue says about the fence: is every table of tenants really protected?

A table with a ``tenant_id`` must be under FORCE ROW LEVEL SECURITY with exactly the policies of
:mod:`kernel.tenancy.operations` and an index that begins with the tenant. Tables that the serving
roles cannot touch at all (schema ``gate``, partitions reached through their parent) need none.
"""

from dataclasses import dataclass

from django.db.backends.utils import CursorWrapper

from kernel.tenancy.operations import APP, POLICIES, STAFF

# Tables of tenants whose tenant stands in another column.
TENANT_COLUMNS = {
    "public.tenants_tenant": "id",
    "public.billing_subject": "scope",
    "public.billing_usage_seen": "scope",
}
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
                  AND NOT p.polpermissive AND p.polcmd = '*'
                  AND pg_get_expr(p.polqual, c.oid) = '(' || a.attname || %(equality)s
                  AND pg_get_expr(p.polwithcheck, c.oid) = '(' || a.attname || %(equality)s
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
# How PostgreSQL writes the comparison of operations.protect() back.
_EQUALITY = (
    " = ( SELECT (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid"
    ' AS "nullif"))'
)
# Ways around the fence that no single table shows. Extensions bring views of their own.
_LEAKS = """
SELECT n.nspname || '.' || c.relname || ': ' || CASE
         WHEN c.relkind IN ('v', 'm') THEN 'a view that reads with its owner''s rights'
         WHEN n.nspname = 'gate' THEN 'a table of the gate that serving roles reach directly'
         ELSE %(app)s || ' may write it and no row-level security is forced' END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'monitoring')
   AND CASE
         WHEN c.relkind IN ('v', 'm') THEN
           has_table_privilege(%(app)s, c.oid, 'SELECT')
           AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)
         WHEN c.relkind NOT IN ('r', 'p') THEN false
         WHEN n.nspname = 'gate' THEN
           has_table_privilege(%(app)s, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
           OR has_table_privilege(%(staff)s, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
         ELSE NOT (c.relrowsecurity AND c.relforcerowsecurity)
           AND has_table_privilege(%(app)s, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') END
UNION ALL
SELECT p.oid::regprocedure::text || ': runs as its owner without a search_path of its own'
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prosecdef AND n.nspname IN ('public', 'gate')
   AND has_function_privilege(%(app)s, p.oid, 'EXECUTE')
   AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE starts_with(s, 'search_path='))
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
    policies: list[str]
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
            found.append(f"the policy tenant does not hold {APP} to the tenant that is set")
        if not self.indexed and self.table not in LED_OTHERWISE:
            found.append(f"no index begins with {self.column}")
        if self.truncatable:
            found.append(f"{APP} may TRUNCATE, which ignores row-level security")
        return found


def protections(cursor: CursorWrapper) -> list[Protection]:
    """Read the protection of every table that holds rows of tenants."""
    own = [f"{table}.{column}" for table, column in TENANT_COLUMNS.items()]
    cursor.execute(_TABLES, {"app": APP, "own": own, "equality": _EQUALITY})
    return [Protection(*row) for row in cursor.fetchall()]


def table_faults(cursor: CursorWrapper) -> list[str]:
    """List every fault of every table, as sentences."""
    return [
        f"{protection.table}: {fault}"
        for protection in protections(cursor)
        for fault in protection.faults()
    ]


def leaks(cursor: CursorWrapper) -> list[str]:
    """List ways around the fence: views, writable tables outside it, functions, gate tables."""
    cursor.execute(_LEAKS, {"app": APP, "staff": STAFF})
    return [row[0] for row in cursor.fetchall()]


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


_REFERENCES = """
SELECT f.conrelid::regclass::text, f.conname
  FROM pg_constraint f
  JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attname = 'tenant_id'
  JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attname = 'tenant_id'
 WHERE f.contype = 'f' AND NOT (a.attnum = ANY (f.conkey) AND b.attnum = ANY (f.confkey))
 ORDER BY 1, 2
"""


def reference_faults(cursor: CursorWrapper) -> list[str]:
    """Find foreign keys between tables of tenants that do not carry the tenant.

    Referential checks ignore row-level security: without the tenant in the key, a row could point
    at another tenant's, and tell by the answer whether it exists.
    """
    cursor.execute(_REFERENCES)
    return [f"{table}: {name} lacks tenant_id" for table, name in cursor.fetchall()]
