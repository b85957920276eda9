"""The commit-time guard of critical tables: a migration operation for the apps that own them."""

from collections.abc import Sequence

from django.db.migrations.operations import RunSQL

from audit.models import PLATFORM_TENANT


class AuditGuard(RunSQL):
    """Refuse every commit that touches ``table`` without an audit entry of the same tenant.

    A deferred constraint trigger looks, at COMMIT, for an entry that this very transaction wrote.
    It catches bulk operations, raw SQL and psql alike. It proves *an* entry of the tenant; give
    ``target_type`` where it must be one about this noun. Costs one queued event per row, so mass
    work goes in batches; rows that a migration seeds must be inserted before the guard is laid.

    Args:
        table: the table, in schema public or as ``schema.table``.
        tenant_column: the column that holds the tenant; ``""`` for tables of the instance, whose
            entries belong to the instance's own log.
        target_type: the target type that the entry must have, ``""`` for any.
        events: what is guarded, as in CREATE TRIGGER.
    """

    def __init__(
        self,
        table: str,
        *,
        tenant_column: str = "tenant_id",
        target_type: str = "",
        events: str = "INSERT OR UPDATE OR DELETE",
    ) -> None:
        self.table, self.tenant_column = table, tenant_column
        self.target_type, self.events = target_type, events
        function = f"{table}_require_audit"
        super().__init__(
            _statements(table, function, tenant_column, target_type, events),
            f"DROP TRIGGER require_audit ON {table}; DROP FUNCTION {function}();",
        )

    def deconstruct(self) -> tuple[str, Sequence[object], dict[str, object]]:
        """Name the operation and its arguments, for Django's migration writer."""
        return (
            type(self).__qualname__,
            [self.table],
            {
                "tenant_column": self.tenant_column,
                "target_type": self.target_type,
                "events": self.events,
            },
        )

    def describe(self) -> str:
        """Say what the operation does."""
        return f"Refuse unaudited changes of {self.table}"


def _statements(
    table: str, function: str, tenant_column: str, target_type: str, events: str
) -> str:
    """Write function and trigger.

    SECURITY DEFINER: a change made without a tenant set would see no entries and be refused. The
    time term prunes partitions and excludes a restored row of the same xid; its slack survives a
    clock step.
    """
    tenant = f"'{PLATFORM_TENANT}'::uuid"
    if tenant_column:
        tenant = f"coalesce(NEW.{tenant_column}, OLD.{tenant_column})"
    aimed = f"AND target_type = '{target_type}'" if target_type else ""
    return f"""
CREATE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
  IF NOT EXISTS (
    SELECT 1 FROM public.audit_event
    WHERE xid = pg_current_xact_id() AND tenant_id = {tenant} {aimed}
      AND recorded_at >= now() - interval '5 minutes'
  ) THEN
    RAISE EXCEPTION 'a change of {table} needs an audit entry in the same transaction'
      USING ERRCODE = 'integrity_constraint_violation', TABLE = '{table}';
  END IF;
  RETURN NULL;
END
$guard$;
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER require_audit AFTER {events} ON {table}
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {function}();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER require_audit;
"""  # noqa: S608 - names come from migrations, never from input
