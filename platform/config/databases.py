"""Database aliases: one database, one login role each."""

from typing import Any

from kernel.postgres import ConnectionTarget, Role, targets

ROLES = {
    "default": Role.APP,
    "staff": Role.STAFF,
    "owner": Role.OWNER,
    "sealer": Role.SEALER,
}


def aliases(pool_size: int) -> dict[str, dict[str, Any]]:
    """Write Django's DATABASES: one alias for each role's way into the one database.

    Where that is follows from the environment: see :func:`kernel.postgres.targets`.
    """
    found = targets()
    return {name: _alias(name, found[role], pool_size) for name, role in ROLES.items()}


def _alias(name: str, target: ConnectionTarget, pool_size: int) -> dict[str, Any]:
    options: dict[str, Any] = {"application_name": f"innkeeper-{name}", **dict(target.options)}
    if name in ("default", "staff"):
        # Sized to the serving threads; no health checks: each costs a round trip per checkout.
        options["pool"] = {
            "min_size": 1 if name == "staff" else min(2, pool_size),
            "max_size": pool_size,
            "timeout": 5,
            "max_lifetime": 3600,
            "reconnect_timeout": 10,
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": target.host,
        "PORT": str(target.port),
        "NAME": target.name,
        "USER": target.user,
        "PASSWORD": target.password,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "OPTIONS": options,
        "TEST": {"MIRROR": None},
    }
