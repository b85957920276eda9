"""Migration operations that protect tables: the PostgreSQL half of the fence.

Policies: bare equality (an index condition, measured), RESTRICTIVE to
the app so that no stray permissive policy can open a table, a bypass by role and never inside a
policy, and one for the owner, whom FORCE binds too.
"""

from collections.abc import Sequence

from django.db.migrations.operations import RunSQL

APP = "innkeeper_app"
STAFF = "innkeeper_staff"
OWNER = "innkeeper_owner"
SEALER = "innkeeper_sealer"
POLICIES = ("base", "tenant", "staff_all", "owner_all")
_SETTING = "(SELECT NULLIF(current_setting('app.tenant', true), '')::uuid)"


def grant(table: str, role: str, privileges: str) -> str:
    """Write the statements that leave ``role`` exactly ``privileges`` (SQL list, '' = none)."""
    statements = [f"REVOKE ALL ON {table} FROM {role};"]
    if privileges:
        statements.append(f"GRANT {privileges} ON {table} TO {role};")
    return "\n".join(statements)


def protect(table: str, column: str = "tenant_id") -> str:
    """Write the row-level security of one table, keyed by ``column``."""
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY base ON {table} TO {APP} USING (true) WITH CHECK (true);
CREATE POLICY tenant ON {table} AS RESTRICTIVE TO {APP}
  USING ({column} = {_SETTING}) WITH CHECK ({column} = {_SETTING});
CREATE POLICY staff_all ON {table} TO {STAFF} USING (true) WITH CHECK (true);
CREATE POLICY owner_all ON {table} TO {OWNER} USING (true) WITH CHECK (true);
"""


class ProtectTenantTable(RunSQL):
    """Put a table under FORCE row-level security and grant the app its privileges.

    Args:
        table: the table's name in schema public, or ``schema.table``.
        app_privileges: what the app may do, as in GRANT; staff keeps its default privileges.
        column: the column that holds the tenant.
        staff_privileges: None keeps the default privileges of staff.
    """

    def __init__(
        self,
        table: str,
        app_privileges: str = "SELECT, INSERT, UPDATE, DELETE",
        *,
        column: str = "tenant_id",
        staff_privileges: str | None = None,
    ) -> None:
        self.table = table
        self.app_privileges = app_privileges
        self.column = column
        self.staff_privileges = staff_privileges
        statements = [protect(table, column), grant(table, APP, app_privileges)]
        if staff_privileges is not None:
            statements.append(grant(table, STAFF, staff_privileges))
        super().__init__("\n".join(statements), RunSQL.noop)

    def deconstruct(self) -> tuple[str, Sequence[object], dict[str, object]]:
        """Name the operation and its arguments, for Django's migration writer."""
        kwargs: dict[str, object] = {"column": self.column}
        if self.staff_privileges is not None:
            kwargs["staff_privileges"] = self.staff_privileges
        return type(self).__qualname__, [self.table, self.app_privileges], kwargs

    def describe(self) -> str:
        """Say what the operation does."""
        return f"Protect {self.table} by tenant"


class GrantTable(RunSQL):
    """Grant privileges on a table that belongs to no tenant."""

    def __init__(self, table: str, *, app: str = "", staff: str | None = None) -> None:
        self.table, self.app, self.staff = table, app, staff
        statements = [grant(table, APP, app)]
        if staff is not None:
            statements.append(grant(table, STAFF, staff))
        super().__init__("\n".join(statements), RunSQL.noop)

    def deconstruct(self) -> tuple[str, Sequence[object], dict[str, object]]:
        """Name the operation and its arguments, for Django's migration writer."""
        return type(self).__qualname__, [self.table], {"app": self.app, "staff": self.staff}


class CompositeForeignKey(RunSQL):
    """Tie (tenant_id, column) to (tenant_id, id) of another table: no reference leaves a tenant.

    Referential checks ignore row-level security, so the tenant must be part of the key.
    """

    def __init__(
        self, table: str, column: str, target: str, *, on_delete: str = "RESTRICT"
    ) -> None:
        self.table, self.column, self.target, self.on_delete = table, column, target, on_delete
        name = f"{table}_{column}_tenant_fk"
        super().__init__(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (tenant_id, {column}) "
            f"REFERENCES {target} (tenant_id, id) ON DELETE {on_delete};",
            f"ALTER TABLE {table} DROP CONSTRAINT {name};",
        )

    def deconstruct(self) -> tuple[str, Sequence[object], dict[str, object]]:
        """Name the operation and its arguments, for Django's migration writer."""
        arguments = [self.table, self.column, self.target]
        return type(self).__qualname__, arguments, {"on_delete": self.on_delete}
