"""One sealer at a time: an advisory lock that ends with its session."""

from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from kernel import db

LOCK_KEY: Final = 0x5EA1_0000
"""Key of the lock; the low bits are the shard."""


class Leadership:
    """Holds the lock on the current alias's connection for as long as that connection lives."""

    def __init__(self, shard: int = 0) -> None:
        self._key = LOCK_KEY + shard
        self._session: object | None = None

    def take(self) -> bool:
        """Take the lock, or tell that it is held already by us (True) or by another (False)."""
        connection = db.connection()
        if self._session is not None and connection.connection is self._session:
            return True
        self._session = None
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [self._key])
            if not cursor.fetchone()[0]:
                return False
        self._session = connection.connection
        return True

    def release(self) -> None:
        """Give the lock back, so that another sealer need not wait for the session's end."""
        connection: BaseDatabaseWrapper = db.connection()
        if self._session is not None and connection.connection is self._session:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [self._key])
        self._session = None
