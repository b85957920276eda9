"""Embedded PostgreSQL: find the binaries, launch a private server, make roles and database.

Pure Python without Django, so that the launcher, the tests and the settings can use it early.
Importing the package is cheap: the database driver is loaded by the modules that connect
(``cluster``, ``provision``, ``instance``, ``throwaway``), which callers import by name.
"""

from kernel.postgres.errors import PostgresError
from kernel.postgres.home import innkeeper_home
from kernel.postgres.targets import ConnectionTarget, Role, targets

__all__ = ["ConnectionTarget", "PostgresError", "Role", "innkeeper_home", "targets"]
