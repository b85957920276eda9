"""Demo data, made through the services like any other and kept idempotent.

Keys are shown once, so a second start cannot show them again: the file that holds them is read, and
what still holds is kept. Whatever is missing, revoked or expired is made anew.
"""

from config.demo.seeding import Demo, seed

__all__ = ["Demo", "seed"]
