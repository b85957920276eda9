"""Password hashing: Argon2id at OWASP's floor, never more at once than the machine has room for."""

import os
import threading
from typing import Final

from django.contrib.auth.hashers import Argon2PasswordHasher

from kernel.errors import Unavailable

MEMORY_KIB: Final = 19_456
CONCURRENT: Final = max(os.cpu_count() or 1, 2)
_PATIENCE_S: Final = 2.0
_places = threading.BoundedSemaphore(CONCURRENT)


class BoundedArgon2Hasher(Argon2PasswordHasher):
    """Argon2id with m=19456 KiB, t=2, p=1 (OWASP Password Storage Cheat Sheet, the floor).

    Hashing is meant to be slow, so a flood of sign-ins is a flood of work: at most one hash a core
    runs at a time, others wait two seconds and are then turned away with 503 and Retry-After.
    Weaker stored hashes are replaced at the next sign-in (Django's ``must_update``).
    """

    memory_cost = MEMORY_KIB
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Hash a password.

        Raises:
            kernel.errors.Unavailable: no place came free in time.
        """
        with _Place():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Compare a password with its hash.

        Raises:
            kernel.errors.Unavailable: no place came free in time.
        """
        with _Place():
            return super().verify(password, encoded)


class _Place:
    """One of the places for a running hash."""

    def __enter__(self) -> None:
        if not _places.acquire(timeout=_PATIENCE_S):
            raise Unavailable(
                "Too many sign-ins at once. Try again.", code="sign_in_busy", retry_after=1
            )

    def __exit__(self, *_: object) -> None:
        _places.release()
