"""The schema: migrated, and every table of tenants fenced."""

from django.db.migrations.loader import MigrationLoader

from kernel import db
from kernel.doctor.findings import Finding, failed, ok, warning
from kernel.tenancy import catalogue

_REFENCE = "Stop serving. Compare with the table's migration and restore the protection as owner."


def roles() -> list[Finding]:
    """Find serving roles over which row-level security has no power."""
    with db.cursor() as cursor:
        faults = catalogue.role_faults(cursor)
    remedy = "Run `python -m config.launcher.prepare` with DATABASE_ADMIN_URL, or ALTER ROLE."
    return [failed("roles", fault, remedy) for fault in faults] or [
        ok("roles", "without superuser, bypass or tables of their own")
    ]


def migrations() -> list[Finding]:
    """Compare the applied migrations with the code's."""
    with db.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        applied = set(cursor.fetchall())
    known = set(MigrationLoader(None).disk_migrations)
    if missing := known - applied:
        names = ", ".join(sorted(f"{app}.{name}" for app, name in missing)[:5])
        return [failed("migrations", f"{len(missing)} not applied: {names}", "manage.py migrate")]
    apps = {app for app, _ in known}
    if newer := {pair for pair in applied - known if pair[0] in apps}:
        text = f"the database knows {len(newer)} that this release does not"
        return [warning("migrations", text, "Bring this machine to the newer release.")]
    return [ok("migrations", f"all {len(known)} applied")]


def fence() -> list[Finding]:
    """Read from the catalogue whether every table of tenants is protected."""
    with db.cursor() as cursor:
        faults = [*catalogue.table_faults(cursor), *catalogue.leaks(cursor)]
        number = len(catalogue.protections(cursor))
    return [failed("fence", fault, _REFENCE) for fault in faults] or [
        ok("fence", f"{number} tables of tenants are protected")
    ]
