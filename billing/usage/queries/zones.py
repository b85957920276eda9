"""Which time zones there are: PostgreSQL's own table, so that windows and checks never differ."""

from functools import lru_cache

from kernel import db


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    """Tell whether a name is an IANA zone that PostgreSQL knows. Asked once for each name."""
    with db.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = %s)", [name])
        return bool(cursor.fetchone()[0])
